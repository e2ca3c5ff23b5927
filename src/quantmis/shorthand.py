"""Names by which people ask for a quantizer, and what they mean here. No torch."""

SHORTHAND = {
    "int8": 'uniform(bits=8, per="channel")',
    "int4": 'uniform(bits=4, per="channel", group_size=128)',
    "int3": 'uniform(bits=3, per="channel", group_size=128)',
    "int2": 'uniform(bits=2, per="channel", group_size=128)',
    "nf4": "normal_float",
    "fp8": "minifloat",
    "fp8_e4m3": "minifloat",
    "fp8_e5m2": 'minifloat(format="e5m2")',
    "fp4": 'minifloat(format="e2m1", group_size=32)',
    "binary": "sign",
    **{
        each.lower(): f'gguf(format="{each}")'
        for each in ("Q4_0", "Q4_1", "Q5_0", "Q5_1", "Q8_0", "Q2_K", "Q3_K", "Q4_K", "Q5_K", "Q6_K", "IQ4_NL", "IQ4_XS")
    },
}
"""Each is written as the quantizer that it stands for in results and reports."""

NOT_ONE = {
    f"q{bits}_k_{size}": f'llama.cpp gives layers several types under that name; gguf(format="Q{bits}_K") is that of '
    "most of them. The file itself is audited as [[target.versions]] weights, or qm.Target(versions=)"
    for bits in (2, 3, 4, 5)
    for size in "sml"
}
"""Names of more than one quantizer, and what to ask for instead."""


def written_out(name: str) -> str:
    """Return the quantizer that a shorthand stands for, and any other name as it is.

    >>> written_out("INT8"), written_out("sign")
    ('uniform(bits=8, per="channel")', 'sign')
    """
    return SHORTHAND.get(name.strip().lower(), name)
