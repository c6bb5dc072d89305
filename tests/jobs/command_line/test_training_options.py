"""Flags made from the settings of recipes: each has its meaning in the help, word for word."""

import argparse
import dataclasses
import re

import pytest

from jobs.command_line.training_options import add_settings, read_settings
from training.recipes.adaptation_settings import AdaptationSettings
from training.recipes.recipe import Recipe
from training.recipes.spacy_recipe import SpacyRecipe


@pytest.mark.parametrize("kind", [Recipe, SpacyRecipe, AdaptationSettings])
def test_every_setting_is_a_flag_with_its_meaning(kind):
    parser = argparse.ArgumentParser()
    add_settings(parser, kind)
    shown = re.sub(r"\s+", " ", parser.format_help())
    for one in dataclasses.fields(kind):
        assert re.sub(r"\s+", " ", one.metadata["meaning"]) in shown
    assert read_settings(parser.parse_args([]), kind) == kind()
