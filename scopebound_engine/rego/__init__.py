"""All that knows the Rego engine: nothing outside this package imports regopy.

engine.py, compiler.py   compile and evaluate, only ever in child processes
pool/                    evaluators: child processes that answer by a deadline, or are killed
sandbox.py               one job on a policy that is not trusted yet, in a child with limits
source/  plan.py         a policy as text, and as compiled
checks/                  what is wrong with it
testing/                 its tests
"""
