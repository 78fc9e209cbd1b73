"""Items of CLAIM, STARD-AI and TRIPOD+AI: where the report answers them, and which it leaves.

Numbers are those of CLAIM's 2024 update (Tejani et al., Radiol. Artif. Intell. 2024), of TRIPOD+AI
(Collins et al., BMJ 2024) and, for STARD-AI (Sounderajah et al., Nat. Med. 2025), of the item of
STARD 2015 that it keeps. Topics are in our own words.
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class Item:
    """What a guideline asks for; `section` of the report answers it, or none does."""

    number: str
    topic: str
    section: str = ""
    answer: str = ""


CLAIM, STARD, TRIPOD = "CLAIM 2024", "STARD-AI", "TRIPOD+AI"
DATA, METHODS, FLOW, MODELS = "data", "methods", "flow", "models"
POINTS, CURVES, GROUPS, COMPARED = "points", "curves", "groups", "comparisons"
LIMITS, VERSIONS, PAPER = "limits", "versions", "paper"

CHECKLISTS: dict[str, tuple[Item, ...]] = {
    CLAIM: (
        Item("7", "Sources of the data", DATA, "Tables and hash; the origin of the images is "
             "for the authors to state."),
        Item("10", "Selection of subsets of the data", FLOW, "What stays at each step, and why."),
        Item("12", "Missing data", METHODS, "A table with a missing score or truth is refused."),
        Item("14-16", "Reference standard, its source and its annotators"),
        Item("19", "How data are assigned to partitions", FLOW, "Rows by split."),
        Item("20", "Level at which partitions are disjoint", METHODS, "Stated where the studio "
             "trained the models."),
        Item("21", "Intended sample size"),
        Item("22", "Model: inputs, layers, outputs"),
        Item("23", "Software and versions", VERSIONS, "Listed."),
        Item("25", "Training: augmentation, hyperparameters, when it stops", VERSIONS, "Seeds "
             "of the runs; the rest is for the authors to state."),
        Item("28", "Measures of performance", METHODS, "Each with its definition."),
        Item("29", "Significance and uncertainty", METHODS, "Intervals, tests, correction."),
        Item("30", "Robustness or sensitivity analysis", GROUPS, "By subgroup, and over runs."),
        Item("33", "Test on external data"),
        Item("35", "Numbers included and excluded", FLOW, "Diagram."),
        Item("36", "Characteristics of the cases", GROUPS, "n by each fact that is known."),
        Item("37", "Performance and its uncertainty", MODELS, "Tables and curves."),
        Item("38", "Diagnostic accuracy and its precision", POINTS, "At each operating point."),
        Item("39", "Analysis of incorrectly classified cases", POINTS, "Counts here; the images "
             "behind each cell are on the page of the studio."),
        Item("40", "Limitations", LIMITS, "What the data cannot carry."),
        Item("43", "Availability of software, models, data"),
        Item("44", "Funding"),
    ),
    STARD: (
        Item("6-9", "Eligibility, setting, dates, series of participants"),
        Item("10a", "Index test in detail", MODELS, "Models and runs; their architecture is "
             "for the authors to state."),
        Item("10b-11", "Reference standard and why it was chosen"),
        Item("12a", "Cut-offs of the index test, set beforehand or explored", POINTS, "Each says "
             "on which images it was chosen."),
        Item("14", "How measures of accuracy are estimated and compared", METHODS, "Stated."),
        Item("15", "Indeterminate results", METHODS, "There are none: each image has a score."),
        Item("16", "Missing data", METHODS, "Refused, not imputed."),
        Item("17", "Variability of accuracy", GROUPS, "By subgroup, and over runs."),
        Item("18", "Intended sample size"),
        Item("19", "Flow of participants, as a diagram", FLOW, "Diagram."),
        Item("20", "Characteristics of participants", GROUPS, "n by each fact that is known."),
        Item("23", "Index test against reference standard", POINTS, "Confusion tables."),
        Item("24", "Estimates of accuracy and their precision", POINTS, "With intervals."),
        Item("26", "Limitations", LIMITS, "What the data cannot carry."),
        Item("28-30", "Registration, protocol, funding"),
    ),
    TRIPOD: (
        Item("5-6", "Sources, dates, setting, participants"),
        Item("7", "Preparation of the data", FLOW, "What was left out, and why."),
        Item("8", "Outcome and how it is assessed"),
        Item("10", "Sample size"),
        Item("11", "Missing data", METHODS, "Refused, not imputed."),
        Item("12a", "How data are used for development and evaluation", FLOW, "Rows by split."),
        Item("12e", "Measures and plots of performance, comparisons", METHODS, "Stated."),
        Item("13", "Methods against class imbalance", DATA, "Prevalence of each table of models; "
             "what was done about it is for the authors to state."),
        Item("14", "Approaches to fairness", GROUPS, "Figures by group, with n; what was done "
             "about them is for the authors to state."),
        Item("15", "Output of the model and thresholds", POINTS, "Probability; each threshold "
             "says how it was found."),
        Item("18", "Funding, interests, protocol, registration, sharing"),
        Item("20a", "Flow of participants", FLOW, "Diagram."),
        Item("20b", "Characteristics of participants", GROUPS, "n by each fact that is known."),
        Item("21", "Participants and outcome events in each analysis", MODELS, "Images and "
             "malignant images of every figure."),
        Item("23a", "Performance with intervals, also in subgroups", MODELS, "Tables and curves."),
        Item("23b", "Heterogeneity between clusters", GROUPS, "By dataset where it is known."),
        Item("25-26", "Interpretation and limitations", LIMITS, "Limits of the data; their "
             "interpretation is for the authors."),
        Item("27", "Usability in care"),
    ),
}  # fmt: skip
