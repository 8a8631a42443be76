"""The context of projects: what agents work on together, who does what, and what they have agreed on."""

from .claim import Claim
from .document import Issue, Project, ProjectContext, ProjectStatus, Task, TaskStatus
from .manager import ProjectManager
from .views import ProjectView, TaskView

__all__ = [
    "Claim",
    "Issue",
    "Project",
    "ProjectContext",
    "ProjectManager",
    "ProjectStatus",
    "ProjectView",
    "Task",
    "TaskStatus",
    "TaskView",
]
