"""From loss tables to what an audit says: scores, records, ranking, agreement, controls, findings. No torch."""

from quantmis.analysis.settings import AnalysisSettings
from quantmis.analysis.subject import SubjectAnalysis, analyse

__all__ = ["AnalysisSettings", "SubjectAnalysis", "analyse"]
