"""fast-vollib's Greeks and Jäckel volatilities of a file of contracts, timed; run by an interpreter that has it.

``python vollib_script.py CONTRACTS.npz RESULTS.npz REPEATS``. The first call of each, in which numba compiles, is not
counted. Prints the least seconds of each as JSON.
"""

import json
import sys
import time

import fast_vollib
import numpy as np
from fast_vollib.jackel import jackel_iv_black


def main() -> None:
    """Write its Greeks and volatilities, print the seconds."""
    contracts, target, repeats = np.load(sys.argv[1]), sys.argv[2], int(sys.argv[3])
    given = {name: contracts[name] for name in contracts.files}
    is_call = given["is_call"].astype(bool)
    flag = np.where(is_call, "c", "p")

    def greeks() -> dict:
        return fast_vollib.get_all_greeks(
            flag, given["spot"], given["strike"], given["years"], given["rate"], given["volatility"],
            given["dividend_yield"], model="black_scholes_merton", return_as="dict", backend="numba",
        )  # fmt: skip

    def volatilities() -> np.ndarray:
        growth = np.exp(given["rate"] * given["years"])
        forward = given["spot"] * np.exp((given["rate"] - given["dividend_yield"]) * given["years"])
        return jackel_iv_black(given["price"] * growth, forward, given["strike"], given["years"], is_call)

    found, seconds = {}, {}
    for name, call in (("greeks", greeks), ("volatilities", volatilities)):
        found[name] = call()
        taken = []
        for _ in range(repeats):
            began = time.perf_counter()
            call()
            taken.append(time.perf_counter() - began)
        seconds[name] = min(taken)
    np.savez(target, volatility=found["volatilities"], **{name: np.asarray(v) for name, v in found["greeks"].items()})
    print(json.dumps(seconds))


if __name__ == "__main__":
    main()
