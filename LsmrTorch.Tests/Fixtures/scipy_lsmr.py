"""Writes scipy_lsmr.json: what SciPy's lsmr does, iteration by iteration, on problems that a formula defines.

    python3 scipy_lsmr.py > scipy_lsmr.json        (written with SciPy 1.10.1, NumPy 1.24.2)

A[i, j] = scale * cos((i + 1) * (j + 1) / 7) + (3 * scale if i == j), b[i] = sin(i + 1), x0[j] = 1 / (j + 1).
The scale is such that the largest pivot exceeds 1, where SciPy's condition estimate starts.
"""
import json

import numpy as np
import scipy
from scipy.sparse.linalg import lsmr

cases = []
for m, n in [(30, 10), (12, 12), (10, 30)]:
    for damp in [0.0, 2.5]:
        for start in [False, True]:
            i, j = np.arange(m)[:, None], np.arange(n)[None, :]
            A = 2.0 * np.cos((i + 1) * (j + 1) / 7) + 6.0 * (i == j)
            b = np.sin(np.arange(m) + 1.0)
            x0 = 1.0 / (np.arange(n) + 1.0) if start else None
            options = dict(damp=damp, atol=1e-10, btol=1e-10, conlim=1e12, x0=x0)
            steps = []
            for k in range(1, 9):
                x, stop, itn, normr, normar, norma, conda, normx = lsmr(A, b, maxiter=k, **options)
                steps.append(dict(residual=normr, normal_residual=normar, norm=norma, condition=conda, x_norm=normx, x=x[:4].tolist()))
            x, stop, itn, *_ = lsmr(A, b, maxiter=1000, **options)
            cases.append(dict(rows=m, columns=n, damp=damp, start=start, stop=int(stop), iterations=int(itn), steps=steps))

print(json.dumps(dict(scipy=scipy.__version__, cases=cases), indent=1))
