"""LSMR of another package, for the experiment `benchmark`, which starts this as a child process and asks by lines.

    python3 lsmr_child.py scipy|cupy|matfree|lineax

asked                                    answered
(nothing)                                ready NAME AND VERSION
dense ROWS COLUMNS DTYPE FOLDER          loaded
csr ROWS COLUMNS DTYPE FOLDER            loaded
run ITERATIONS                           ran ITERATIONS_DONE SECONDS
quit

FOLDER holds raw numbers: values.bin, rhs.bin (DTYPE), and for csr indices.bin, starts.bin (int64). Whatever goes wrong is answered
by a line `error SENTENCE`, after which the process ends. Tolerances are zero, so that the iterations asked for are done.
"""

import os
import signal
import sys
import time


class Scipy:
    def __init__(self):
        import scipy
        import scipy.sparse
        import scipy.sparse.linalg

        self.version = "scipy " + scipy.__version__
        self.sparse, self.lsmr = scipy.sparse, scipy.sparse.linalg.lsmr

    def dense(self, values, rhs):
        self.matrix, self.rhs = values, rhs

    def csr(self, values, indices, starts, shape, rhs):
        self.matrix, self.rhs = self.sparse.csr_matrix((values, indices, starts), shape=shape), rhs

    def run(self, limit):
        return self.lsmr(self.matrix, self.rhs, atol=0, btol=0, conlim=0, maxiter=limit)[2]

    def wait(self):
        pass


class Cupy(Scipy):
    def __init__(self):
        import cupy
        import cupyx.scipy.sparse
        import cupyx.scipy.sparse.linalg

        self.version = "cupy " + cupy.__version__
        self.cupy, self.sparse, self.lsmr = cupy, cupyx.scipy.sparse, cupyx.scipy.sparse.linalg.lsmr

    def dense(self, values, rhs):
        super().dense(self.cupy.asarray(values), self.cupy.asarray(rhs))

    def csr(self, values, indices, starts, shape, rhs):
        on_card = [self.cupy.asarray(x) for x in (values, indices.astype("int32"), starts.astype("int32"), rhs)]
        super().csr(*on_card[:3], shape, on_card[3])

    def wait(self):
        self.cupy.cuda.get_current_stream().synchronize()


class Jax:
    """What matfree and lineax share: dense matrices, and a solver compiled for each limit."""

    def __init__(self):
        import jax

        jax.config.update("jax_enable_x64", True)
        self.jax = jax

    def dense(self, values, rhs):
        self.matrix, self.rhs = self.jax.device_put(values), self.jax.device_put(rhs)
        self.compiled = {}

    def csr(self, *_):
        raise ValueError("only dense matrices are handed to it")

    def run(self, limit):
        if limit not in self.compiled:
            self.compiled[limit] = self.jax.jit(self.solver(limit))
            self.jax.block_until_ready(self.compiled[limit](self.matrix, self.rhs))
        return self.jax.block_until_ready(self.compiled[limit](self.matrix, self.rhs))[1]

    def wait(self):
        pass


class Matfree(Jax):
    def __init__(self):
        super().__init__()
        import importlib.metadata

        from matfree import lstsq

        self.version = f"matfree {importlib.metadata.version('matfree')} with jax {self.jax.__version__}"
        self.lstsq = lstsq

    def solver(self, limit):
        solve = self.lstsq.lsmr(atol=0.0, btol=0.0, ctol=0.0, maxiter=limit)

        def run(matrix, rhs):
            x, stats = solve(lambda u, a: a.T @ u, rhs, matrix)
            return x, stats["iteration_count"]

        return run


class Lineax(Jax):
    def __init__(self):
        super().__init__()
        import lineax

        self.version = f"lineax {lineax.__version__} with jax {self.jax.__version__}"
        self.lineax = lineax

    def solver(self, limit):
        solver = self.lineax.LSMR(rtol=0.0, atol=0.0, max_steps=limit, conlim=float("inf"))

        def run(matrix, rhs):
            answer = self.lineax.linear_solve(self.lineax.MatrixLinearOperator(matrix), rhs, solver, throw=False)
            return answer.value, answer.stats["num_steps"]

        return run


def load(solver, form, rows, columns, dtype, folder):
    import numpy

    def read(name, of):
        return numpy.fromfile(os.path.join(folder, name + ".bin"), dtype=of)

    shape = (int(rows), int(columns))
    if form == "dense":
        solver.dense(read("values", dtype).reshape(shape), read("rhs", dtype))
    else:
        solver.csr(read("values", dtype), read("indices", "int64"), read("starts", "int64"), shape, read("rhs", dtype))


def timed(solver, limit):
    if isinstance(solver, Jax) and limit not in solver.compiled:
        solver.run(limit)
    solver.wait()
    start = time.perf_counter()
    iterations = solver.run(limit)
    solver.wait()
    return int(iterations), time.perf_counter() - start


def main():
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the experiment, which then ends this too

    def say(line):
        print(" ".join(line.split()), flush=True)

    try:
        solver = {"scipy": Scipy, "cupy": Cupy, "matfree": Matfree, "lineax": Lineax}[sys.argv[1]]()
        say("ready " + solver.version)
        for line in sys.stdin:
            words = line.split(maxsplit=4)
            if words[0] == "quit":
                return
            if words[0] == "run":
                say("ran {} {!r}".format(*timed(solver, int(words[1]))))
            else:
                load(solver, *words[:4], words[4].rstrip("\n"))
                say("loaded")
    except BrokenPipeError:  # the experiment has ended; nothing is left to be flushed
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except Exception as error:
        say(f"error {type(error).__name__}: {error}")


main()
