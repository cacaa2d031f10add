"""What the traffic simulator SUMO reads and writes: networks, signal programs, trips, the summary of a run, measures of edges.

Formats: sumo.dlr.de/docs/Simulation/Output, /Networks/SUMO_Road_Networks and /Simulation/Traffic_Lights. Files are read as a stream: what
is kept of one does not grow with the number of its trips, steps or edges. Sums are exact decimals, as the simulator wrote them.
"""
