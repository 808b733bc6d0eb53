"""A key for hostile tests."""


class Grudge:
    """A key whose comparison raises once it was told to."""

    raises = False

    def __init__(self, number):
        self.number = number

    def __hash__(self):
        return 7

    def __eq__(self, other):
        if Grudge.raises:
            raise ArithmeticError("grudge")
        return self.number == other.number
