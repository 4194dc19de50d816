"""Owns making the demo data's names readable: title case, abbreviations spelt out."""

from __future__ import annotations

from typing import Final

import polars as pl

#: Abbreviations in the data's names, spelt out for people.
WORDS: Final = {
    "Bkd": "Baked",
    "Bn": "Beans",
    "Brkfst": "Breakfast",
    "Btl": "Bottle",
    "Carb": "Carbonated",
    "Ckys": "Cookies",
    "Cleang": "Cleaning",
    "Cndy": "Candy",
    "Conc": "Concentrate",
    "Crkr": "Crackers",
    "Crystl": "Crystal",
    "Disposible": "Disposable",
    "Dnr": "Dinner",
    "Dnrs": "Dinners",
    "Drnk": "Drink",
    "Drnks": "Drinks",
    "Drsng": "Dressing",
    "Dsh": "Dish",
    "Fd": "Food",
    "Flvrd": "Flavoured",
    "Frz": "Frozen",
    "Frzn": "Frozen",
    "Gm": "General Merchandise",
    "Hbc": "Health & Beauty",
    "Incl": "Including",
    "Jce": "Juice",
    "Misc": "Miscellaneous",
    "Misc.": "Miscellaneous",
    "Mx": "Mix",
    "Mxs": "Mixes",
    "Pckgd": "Packaged",
    "Pk": "Pack",
    "Pkg": "Packaged",
    "Pkgd": "Packaged",
    "Pkld": "Pickled",
    "Pnt": "Peanut",
    "Btr": "Butter",
    "Prem": "Premium",
    "Pwdr": "Powder",
    "Refrgratd": "Refrigerated",
    "Sald": "Salad",
    "Sft": "Soft",
    "Sherbts": "Sherbets",
    "Sndwch": "Sandwich",
    "Snks": "Snacks",
    "Sply": "Supply",
    "Sprd": "Spread",
    "Suppplies": "Supplies",
    "Sweetners": "Sweeteners",
    "Tiss": "Tissue",
    "Trsh": "Trash",
    "Veg": "Vegetables",
    "Whlsm": "Wholesome",
    "Wtr": "Water",
}


def readable(names: pl.Series) -> pl.Series:
    """Returns the names in title case with abbreviations spelt out; null and blank give null.

    "FRZN JCE CONC/DRNKS" -> "Frozen Juice Concentrate/Drinks".
    """
    unique = names.drop_nulls().unique()
    spelt = {name: _spell(name) for name in unique}
    return names.replace_strict(spelt, default=None, return_dtype=pl.String)


def _spell(name: str) -> str | None:
    words = []
    for part in name.replace(">", "-").split():
        pieces = "".join(f" {char} " if char in "/-&:(),+" else char for char in part.title()).split()
        words.append("".join(WORDS.get(piece, piece) for piece in pieces))
    return " ".join(words).replace("'S", "'s") or None
