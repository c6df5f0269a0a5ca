"""Two peers whose data flows both ways while their network is taken apart, and what must come of it.

catalogue.py    what happens in each scenario, and what is expected
world.py        the laboratory and the programs in it
play.py         one run of a scenario
story.py        what a peer told
verdict.py      what was measured, and whether it is as expected
"""
