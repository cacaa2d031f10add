"""What ``scripts/compare-dpo`` is made of: one tiny model and its pairs, and their figures by the appliance and by TRL."""
