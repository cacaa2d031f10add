"""Traffic sources: what the police's own systems and the traffic simulator SUMO write becomes training rows.

Two rules hold for every row made here. An answer follows from its question: whatever it states stands in the question or is computed from
it. And nothing is made up: a question about a field is asked only of records that have that field. Rows are in Chinese, the department's
language; they are data, not words of the appliance, and stand here beside the figures they speak of.
"""
