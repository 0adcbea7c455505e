"""Which section of the report speaks to which question of a framework."""

from __future__ import annotations

# Source, what it asks, sections by id.
CROSSWALK: tuple[tuple[str, str, tuple[str, ...]], ...] = (
    (
        "Regulation (EU) 2016/679 (GDPR), Article 35(7)(c)",
        "An assessment of the risks to the rights and freedoms of data subjects.",
        ("verdict", "matrix", "worst"),
    ),
    (
        "GDPR, Article 35(7)(d)",
        "The measures envisaged to address the risks, and how they are shown to work.",
        ("guarantees", "tradeoff", "residual"),
    ),
    (
        "EDPB, Opinion 28/2024 on AI models (17 December 2024)",
        "How likely personal data are extracted or obtained by queries, for each data subject, by "
        "means reasonably likely to be used.",
        ("coverage", "matrix", "worst"),
    ),
    (
        "Article 29 Working Party, Opinion 05/2014 (WP216)",
        "Singling out, linkability, inference.",
        ("identity",),
    ),
    (
        "NIST SP 800-226, Guidelines for Evaluating Differential Privacy Guarantees (2025)",
        "Epsilon, the unit of privacy, the trust model, side channels.",
        ("guarantees", "limits"),
    ),
    (
        "NIST AI 100-2, Adversarial Machine Learning: A Taxonomy and Terminology (2025)",
        "Class of attack, stage of learning, knowledge of the attacker.",
        ("coverage",),
    ),
    (
        "ISO/IEC 29134, Guidelines for privacy impact assessment",
        "Scope, information flows, risk analysis, risk treatment, sign-off, public summary.",
        ("scope", "policy", "residual", "responsible", "public"),
    ),
    (
        "HIPAA Privacy Rule, 45 CFR 164.514(b)(1)",
        "An expert's determination for an anticipated recipient; the expert's line is left blank.",
        ("coverage", "method", "responsible"),
    ),
    (
        "Regulation (EU) 2024/1689 (AI Act), Annex IV, point 2(g)",
        "Test logs and test reports, dated and signed by the responsible persons.",
        ("reproducibility", "responsible"),
    ),
)
