"""One house style, one function a figure. Data come in as plain arrays and tables; figures go out.

Figures are made without pyplot: nothing to close, and a notebook that ends a cell with a figure
shows it once. Every function that draws takes its title, the finding, from the caller.
"""

from tinylm.plots.curves import (
    RatePanel,
    learning_curves_figure,
    loss_by_position_figure,
    rates_figure,
)
from tinylm.plots.exponents import apart_figure, fixed_floor_figure, local_exponents_figure
from tinylm.plots.factors import SweepPanel, rule_cost_figure, sweep_figure
from tinylm.plots.fits import (
    ExcessPanel,
    KnowledgePanel,
    SlopePanel,
    context_figure,
    excess_figure,
    exponents_figure,
    knowledge_figure,
    predictions_figure,
    residuals_figure,
    scaling_figure,
    slopes_figure,
    surface_figure,
)
from tinylm.plots.isoflops import (
    budget_figure,
    isoflop_figure,
)
from tinylm.plots.lessons import (
    bars_figure,
    bytes_per_token_figure,
    distance_figure,
    lines_figure,
    rotary_figure,
    windows_figure,
)
from tinylm.plots.missing_context import missing_context_figure
from tinylm.plots.panels import (
    ablation_figure,
    attention_figure,
    bits_figure,
    cost_figure,
    gains_figure,
    growth_figure,
)
from tinylm.plots.positions import (
    changes_figure,
    document_lengths_figure,
    one_length_figure,
    position_differences_figure,
    seen_tokens_figure,
)
from tinylm.plots.repeats import repetition_figure
from tinylm.plots.style import (
    BLUE,
    GREEN,
    INK,
    MARKERS,
    NATS,
    ORANGE,
    PALETTE,
    QUIET,
    VERMILION,
    figure_kind,
    save_figure,
    use_style,
)
from tinylm.plots.surfaces import counts_figure, grid_figure, misses_figure
from tinylm.say import short

__all__ = [
    "BLUE",
    "GREEN",
    "INK",
    "MARKERS",
    "NATS",
    "ORANGE",
    "PALETTE",
    "QUIET",
    "VERMILION",
    "ExcessPanel",
    "KnowledgePanel",
    "RatePanel",
    "SlopePanel",
    "SweepPanel",
    "ablation_figure",
    "apart_figure",
    "attention_figure",
    "bars_figure",
    "bits_figure",
    "budget_figure",
    "bytes_per_token_figure",
    "changes_figure",
    "context_figure",
    "cost_figure",
    "counts_figure",
    "distance_figure",
    "document_lengths_figure",
    "excess_figure",
    "exponents_figure",
    "figure_kind",
    "fixed_floor_figure",
    "gains_figure",
    "grid_figure",
    "growth_figure",
    "isoflop_figure",
    "knowledge_figure",
    "learning_curves_figure",
    "lines_figure",
    "local_exponents_figure",
    "loss_by_position_figure",
    "misses_figure",
    "missing_context_figure",
    "one_length_figure",
    "position_differences_figure",
    "predictions_figure",
    "rates_figure",
    "repetition_figure",
    "residuals_figure",
    "rotary_figure",
    "rule_cost_figure",
    "save_figure",
    "scaling_figure",
    "seen_tokens_figure",
    "short",
    "slopes_figure",
    "surface_figure",
    "sweep_figure",
    "use_style",
    "windows_figure",
]
