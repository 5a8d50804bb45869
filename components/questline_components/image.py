"""The one image in which all steps run on a cluster; on a laptop they run in the Python that is installed here."""

from functools import partial
from importlib.metadata import version

from kfp import dsl

IMAGE = f"questline-pipelines:{version('questline')}"
"""Holds `questline[pipelines]`: a step installs nothing when it starts."""

component = partial(dsl.component, base_image=IMAGE, install_kfp_package=False)
"""Decorates the function of a step."""
