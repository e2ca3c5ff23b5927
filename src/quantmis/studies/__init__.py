"""The paper's two experiments, each with one command: Gaussian mixtures, and the prediction of molecular properties.

A study is a list of *problems*. Each is measured in the way of an audit: shadow models on complementary halves, every
quantizer, LiRA, paired replicates, the indicator and security by theory. What was measured of one problem is an
`Outcome`, kept on disk as soon as it is there, so that a study that was killed goes on where it was. Tables, figures
and findings are pure functions of outcomes.
"""
