/* Included before every C++ file of llama.cpp. GCC before 12.4, 13.3 and 14 (bug 114098; Debian 12 has 12.2) believes that _tile_loadconfig
   reads 8 bytes of the 64 that it reads, drops the stores of the others, and the first instruction for a matrix tile (AMX) then ends the
   process with SIGILL. Here it says what it reads. */
#if defined(__AMX_TILE__) && defined(__GNUC__) && !defined(__clang__)
#include <immintrin.h>
#define _tile_loadconfig(config) __asm__ volatile("ldtilecfg\t%X0" : : "m"(*(const char(*)[64])(config)))
#endif
