"""The Docker sandbox: images, containers, limits, cleanup, doctor.

Importing this package loads neither docker nor inspect_ai. What to import from where:

- `harness.sandbox.config`: `SandboxConfig`, what a container looks like
- `harness.sandbox.provider`: the Inspect sandbox ``cat-docker``
- `harness.sandbox.images`: `ensure_base`, `build`, `is_built`, `image_size`
- `harness.sandbox.engine`: `cleanup`, and how failures of Docker are told apart
- `harness.sandbox.doctor`: `diagnose`, `fix`
"""
