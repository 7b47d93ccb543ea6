"""The notation in which tables of names say what the parts of a value are called."""

import pytest

from smki.errors import InvalidInput
from smki.gbcs.payload.shape import Count, Form, Shape, parse_shape

STRUCTURE, ARRAY = Form.STRUCTURE, Form.ARRAY


@pytest.mark.parametrize(
    ("text", "shape"),
    [
        ("price", Shape("price")),
        ("  the  price ", Shape("the  price")),
        ("price: u8", Shape("price", "u8")),
        ("price : a table", Shape("price", "a table")),
        ("price: u8?", Shape("price", "u8", optional=True)),
        ("price?", Shape("price", optional=True)),
        ("a(b)", Shape("a", form=STRUCTURE, parts=(Shape("b"),))),
        ("a(b, c: d)", Shape("a", form=STRUCTURE, parts=(Shape("b"), Shape("c", "d")))),
        ("a[b]", Shape("a", form=ARRAY, parts=(Shape("b"),))),
        ("a[n; b]", Shape("a", form=ARRAY, parts=(Shape("b"),), count=Count("n", 0xFF))),
        ("a[n & 15; b: c]", Shape("a", form=ARRAY, parts=(Shape("b", "c"),), count=Count("n", 15))),
        (
            "a(b[c(d)], e)",
            Shape(
                "a",
                form=STRUCTURE,
                parts=(
                    Shape("b", form=ARRAY, parts=(Shape("c", form=STRUCTURE, parts=(Shape("d"),)),)),
                    Shape("e"),
                ),
            ),
        ),
    ],
)
def test_shapes(text: str, shape: Shape) -> None:
    assert parse_shape(text, "a file") == shape


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "a name is missing"),
        (" ", "a name is missing"),
        ("(a)", "a name is missing"),
        (": a", "a name is missing"),
        ("a:", "a name is missing"),
        ("a: (b)", "a name is missing"),
        ("a()", "a name is missing"),
        ("a(b,)", "a name is missing"),
        ("a[]", "a name is missing"),
        ("a[; b]", "a name is missing"),
        ("a(b", "')' is missing"),
        ("a(b]", "')' is missing"),
        ("a[b", "']' is missing"),
        ("a[b)", "']' is missing"),
        ("a[n; b, c]", "']' is missing"),
        ("a[n & 15 b]", "is no mask"),
        ("a[n & 15, b]", "';' is missing"),
        ("a[n & x; b]", "'x' is no mask"),
        ("a[n & ; b]", "a name is missing"),
        ("a b) c", "')' is too much"),
        ("a: b: c", "':' is too much"),
        ("a??", "'?' is too much"),
        ("a(b)?", "'?' is too much"),
        ("a, b", "',' is too much"),
    ],
)
def test_what_is_no_shape_is_refused_and_told_where(text: str, said: str) -> None:
    with pytest.raises(InvalidInput) as refusal:
        parse_shape(text, "names.toml: x")
    assert refusal.value.code == "names.shape"
    assert said in refusal.value.message
    assert f"names.toml: x: {text!r}: " in refusal.value.message


@pytest.mark.parametrize(("begin", "end"), [("a(", ")"), ("a[", "]")])
def test_shapes_nest_to_eight_and_no_deeper(begin: str, end: str) -> None:
    assert parse_shape(begin * 8 + "a" + end * 8, "a file")
    with pytest.raises(InvalidInput, match="nested too deep"):
        parse_shape(begin * 9 + "a" + end * 9, "a file")


def test_all_hints_within_are_known() -> None:
    assert parse_shape("a(b: x, c[d: y], e(f: z?, g))", "a file").hints() == {"x", "y", "z"}
    assert parse_shape("a", "a file").hints() == frozenset()
