"""Words: codes and parameters become sentences in Chinese or English, for the command line and the terminal UI alike."""
