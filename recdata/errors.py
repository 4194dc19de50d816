"""Owns the one error tree; every message names the bad value, where it stood, and the remedy.

RecsvcError
 ├── ConfigError          the TOML config is missing, unreadable, or holds a wrong value
 ├── TableError           an input table cannot be used at all
 │    ├── MissingColumnError
 │    └── RejectShareError    more rows were rejected than the config allows
 ├── RunError             a stage of the nightly job could not do its work
 ├── SnapshotError        a snapshot cannot be used
 │    ├── SnapshotCorruptError    truncated or altered
 │    ├── SnapshotFormatError     written by a newer (or unknown) format
 │    └── SnapshotNotFoundError
 ├── PublishError         a snapshot could not be published; the old one goes on serving
 │    └── GateRefusedError        it is worse than the live one
 ├── ServeError           the server could not start (port in use, no snapshot)
 └── LiveStoreError       the live store cannot do what was asked of it
      ├── LiveStoreFullError         no room is left in it, or on its disk
      ├── LiveStoreReadOnlyError     this process may read it and not write it
      ├── LiveStoreUnavailableError  not there, damaged, or closed
      │    └── LiveStoreFormatError      written by another format than this version knows
      ├── ExportBusyError            another export is at work
      ├── RuleExistsError            a rule has that id already
      ├── RuleNotFoundError          no rule has that id
      └── ReviewExistsError          a review has that id already, and says something else
"""

from __future__ import annotations


class RecsvcError(Exception):
    """Base of every error that this project raises on purpose.

    `exit_code` is what the command line leaves with.
    """

    exit_code = 1


class ConfigError(RecsvcError):
    """The configuration is missing, unreadable, or holds a wrong value."""

    exit_code = 2


class TableError(RecsvcError):
    """An input table cannot be used at all."""

    exit_code = 3


class MissingColumnError(TableError):
    """A column without which a table has no meaning is absent."""


class RejectShareError(TableError):
    """More rows were rejected than the config's `max_reject_share` allows."""


class RunError(RecsvcError):
    """A stage of the nightly job could not do its work."""

    exit_code = 4


class SnapshotError(RecsvcError):
    """A snapshot cannot be used."""

    exit_code = 5


class SnapshotCorruptError(SnapshotError):
    """A snapshot file is truncated or altered."""


class SnapshotFormatError(SnapshotError):
    """A snapshot was written in a format that this version does not know."""


class SnapshotNotFoundError(SnapshotError):
    """No snapshot has that id, or none is published."""


class PublishError(RecsvcError):
    """A snapshot could not be published; the live one is untouched."""

    exit_code = 6


class GateRefusedError(PublishError):
    """A snapshot is worse than the live one, or not fit to serve; the live one is untouched."""

    exit_code = 9


class ServeError(RecsvcError):
    """The server could not start."""

    exit_code = 7


class LiveStoreError(RecsvcError):
    """The live store cannot do what was asked of it; nothing was changed.

    `lasting` says whether the next write will most likely fail too.
    """

    exit_code = 8
    lasting = False


class LiveStoreFullError(LiveStoreError):
    """No room is left in the live store, or on its disk; it can be read, and written once room is made."""

    lasting = True


class LiveStoreReadOnlyError(LiveStoreError):
    """This process may read the live store and not write it."""


class LiveStoreUnavailableError(LiveStoreError):
    """The live store is not there, damaged, or closed."""


class LiveStoreFormatError(LiveStoreUnavailableError):
    """The live store was written in a format that this version does not know."""


class ExportBusyError(LiveStoreError):
    """Another export of the live store's events is at work."""


class RuleExistsError(LiveStoreError):
    """A rule has that id already."""


class RuleNotFoundError(LiveStoreError):
    """No rule has that id."""


class ReviewExistsError(LiveStoreError):
    """A review has that id already, and says something else."""
