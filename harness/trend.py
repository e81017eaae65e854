from harness.prior import trend_prior

__all__ = ['trend_prior']
