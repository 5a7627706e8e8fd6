"""The verdict on artifacts that were compared with PyTorch."""


class Tally:
    def __init__(self):
        self.passed = self.failed = 0

    def add(self, artifact, problems, worst):
        """`worst`: the artifact's error over PyTorch's."""
        self.passed, self.failed = self.passed + (not problems), self.failed + bool(problems)
        print(f"{'FAILED' if problems else 'ok'} {artifact.name}: error {worst:.2f} x PyTorch's", flush=True)
        for problem in problems:
            print("   ", problem)

    def finish(self):
        """Prints the verdict; the exit status."""
        print(f"{self.passed} passed, {self.failed} failed")
        return 1 if self.failed or not self.passed else 0
