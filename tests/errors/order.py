"""Sorting, the k largest, the k-th smallest, the median."""

from tests.errors.table import Bad

BAD = [
    Bad(
        "sort",
        "minivision.sort(x(2, 3), 2)",
        IndexError,
        "sort: dim 2 is out of range for shape (2, 3), which has 2 axes; legal are -2 .. 1",
    ),
    Bad(
        "sort",
        "minivision.sort(x(2, 3), None)",
        TypeError,
        "sort: dim=None must be an int",
    ),
    Bad(
        "sort",
        "minivision.sort(x(2, 3), 1, descending='yes')",
        TypeError,
        "sort: descending='yes' must be True or False, not str",
    ),
    Bad(
        "sort",
        "minivision.sort(x(2, 3), 1, stable=1)",
        TypeError,
        "sort: stable=1 must be True or False, not int",
    ),
    Bad(
        "argsort",
        "minivision.argsort(x(2, 3), 2)",
        IndexError,
        "argsort: dim 2 is out of range for shape (2, 3), which has 2 axes; legal are -2 .. 1",
    ),
    Bad(
        "argsort",
        "minivision.argsort(x(2, 3), 1, 'descending')",
        TypeError,
        "argsort: descending='descending' must be True or False, not str",
    ),
    Bad(
        "msort",
        "minivision.msort(None)",
        TypeError,
        "msort: input is None, but must be a tensor (or an array, or numbers)",
    ),
    Bad(
        "topk",
        "minivision.topk(x(2, 3), 4)",
        ValueError,
        "topk: k=4 is out of range for dim -1 of input (2, 3), of length 3; legal are 0 .. 3",
    ),
    Bad(
        "topk",
        "minivision.topk(x(2, 3), -1)",
        ValueError,
        "topk: k=-1 is out of range for dim -1 of input (2, 3), of length 3; legal are 0 .. 3",
    ),
    Bad(
        "topk",
        "minivision.topk(x(2, 3), 2.0)",
        TypeError,
        "topk: k=2.0 must be an int, not float; for whole numbers divide with //, or round with int()",
    ),
    Bad(
        "topk",
        "minivision.topk(x(2, 3), 2, 2)",
        IndexError,
        "topk: dim 2 is out of range for shape (2, 3), which has 2 axes; legal are -2 .. 1",
    ),
    Bad(
        "topk",
        "minivision.topk(x(2, 3), 2, 1, largest=None)",
        TypeError,
        "topk: largest=None must be True or False",
    ),
    Bad(
        "topk",
        "minivision.topk(mask(2, 3), 2)",
        TypeError,
        "topk: input is bool (2, 3), but must be numbers, not truth values; convert it with .int() or .float()",
    ),
    Bad(
        "kthvalue",
        "minivision.kthvalue(x(2, 3), 0)",
        ValueError,
        "kthvalue: k=0 is out of range for dim -1 of input (2, 3), of length 3; k counts from 1, so legal are 1 .. 3",
    ),
    Bad(
        "kthvalue",
        "minivision.kthvalue(x(2, 3), 4)",
        ValueError,
        "kthvalue: k=4 is out of range for dim -1 of input (2, 3), of length 3; k counts from 1, so legal are 1 .. 3",
    ),
    Bad(
        "kthvalue",
        "minivision.kthvalue(x(2, 3), None)",
        TypeError,
        "kthvalue: k=None must be an int",
    ),
    Bad(
        "kthvalue",
        "minivision.kthvalue(x(2, 0), 1)",
        ValueError,
        "kthvalue: k=1 is out of range for dim -1 of input (2, 0), of length 0; nothing has no k-th smallest value",
    ),
    Bad(
        "kthvalue",
        "minivision.kthvalue(x(2, 3), 1, 2)",
        IndexError,
        "kthvalue: dim 2 is out of range for shape (2, 3), which has 2 axes; legal are -2 .. 1",
    ),
    Bad(
        "kthvalue",
        "minivision.kthvalue(mask(2, 3), 1)",
        TypeError,
        "kthvalue: input is bool (2, 3), but must be numbers, not truth values; convert it with .int() or .float()",
    ),
    Bad(
        "median",
        "minivision.median(x(2, 3), 2)",
        IndexError,
        "median: dim 2 is out of range for shape (2, 3), which has 2 axes; legal are -2 .. 1",
    ),
    Bad(
        "median",
        "minivision.median(x(2, 0), 1)",
        IndexError,
        "median: dim 1 of input (2, 0) has no elements, and nothing has no median",
    ),
    Bad(
        "median",
        "minivision.median(mask(3))",
        TypeError,
        "median: input is bool (3,), but must be numbers, not truth values; convert it with .int() or .float()",
    ),
    Bad(
        "median",
        "minivision.median(labels(0))",
        ValueError,
        "median: input of shape (0,) has no elements, and int64 has no NaN to say so",
    ),
    Bad(
        "median",
        "minivision.median(x(2, 3), keepdim=True)",
        TypeError,
        "median: keepdim=True is for median(input, dim), but no dim is given; leave keepdim away",
    ),
    Bad(
        "msort",
        "minivision.msort([[1, 2], [3]])",
        TypeError,
        "msort: input is [[1, 2], [3]], but nested lists must form a regular table of numbers: every row of the same length",
    ),
]
