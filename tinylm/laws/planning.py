"""How sure a grid of runs would make the constants of a law, told before the runs are made."""

import numpy as np
from numpy.typing import ArrayLike

from tinylm.errors import BadInput
from tinylm.laws.forms import ROW, log_slopes_bent
from tinylm.laws.scatter import centred, positive
from tinylm.laws.surface import Surface

NORMAL = 1.96  # standard errors from the middle of a normal distribution to the end of 95% of it


def expected_errors(
    surface: Surface, n: ArrayLike, d: ArrayLike, error: ArrayLike
) -> dict[str, float]:
    """Standard error of E, alpha, beta and g, those of them that are free, if a grid with one mean
    loss at each (N, D) is fitted and the law is `surface`.

    `n` and `d` are (n_settings,); `error` is the standard error of each mean as a share of the
    loss, one for all or (n_settings,). To first order: least squares on the derivatives of the log
    loss, (JᵀJ/error²)⁻¹, as a bootstrap over seeds finds it where the law bends little within its
    uncertainty.

    Raises:
        BadInput: fewer settings than free constants, or values that are not positive.
    """
    sizes, tokens = positive(n=n, d=d)
    errors = np.broadcast_to(np.asarray(error, float), sizes.shape)
    (z_n, shift_n), (z_d, shift_d) = centred(sizes), centred(tokens)
    row = np.array(
        [
            surface.E,
            np.log(surface.A) - surface.alpha * shift_n,
            np.log(surface.B) - surface.beta * shift_d,
            surface.alpha,
            surface.beta,
            surface.g,
        ]
    )
    free = surface.form.told(None, row)
    if len(sizes) < len(free):
        raise BadInput(f"{len(sizes)} settings; expected at least {len(free)}, one a constant")
    slopes = log_slopes_bent(surface.form, row, np.stack([z_n, z_d]))[:, free] / errors[:, None]
    found = np.sqrt(np.diag(np.linalg.inv(slopes.T @ slopes)))
    named = dict(zip((ROW[place] for place in free), found, strict=True))
    return {name: float(named[name]) for name in ("E", "alpha", "beta", "g") if name in named}
