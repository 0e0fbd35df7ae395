"""The page's words in English and Korean. The English text is the key; what has no Korean stays English."""

from __future__ import annotations

from collections.abc import Callable

LANGUAGES = ("en", "ko")


def language_of(accepted: str, asked: str | None = None) -> str:
    """The first language of an Accept-Language header that the page has; `asked` comes before it."""
    for each in [asked or "", *accepted.split(",")]:
        name = each.split(";")[0].strip().lower().split("-")[0]
        if name in LANGUAGES:
            return name
    return LANGUAGES[0]


def words(language: str) -> Callable[[str], str]:
    known = _KOREAN if language == "ko" else {}
    return lambda text: known.get(text, text)


_KOREAN = {
    "95 % bars; what lies off the line changed.": "막대는 95% 구간입니다. 선에서 벗어난 문항이 바뀐 문항입니다.",
    "All items": "모든 문항",
    "Anchors": "앵커",
    "Anchors: b of this run against the reference": "앵커: 이번 실행의 b와 기준값 b",
    "Approved by": "승인한 사람",
    "Bank": "은행",
    "Banks": "은행",
    "Change": "변화",
    "Change: b now against b published": "변화: 지금의 b와 게시된 b",
    "Checks": "검사",
    "Checks not passed": "통과하지 못한 검사",
    "Download as CSV": "CSV로 내려받기",
    "Engine": "엔진",
    "Figures": "수치",
    "Filter": "걸러 보기",
    "Held": "보류",
    "IRT calibration": "IRT 보정",
    "Item": "문항",
    "Item characteristic curve": "문항 특성 곡선",
    "Items": "문항",
    "Last good publication": "마지막 정상 게시",
    "Last run": "마지막 실행",
    "Linking intercept": "연결 절편",
    "Linking slope": "연결 기울기",
    "Log-likelihood per answer": "응답당 로그가능도",
    "Nights": "야간 실행",
    "Nothing was ever published.": "아직 게시된 것이 없습니다.",
    "Open irt_publish_rollback": "irt_publish_rollback 열기",
    "Precision": "정밀도",
    "Published": "게시",
    "Reasons": "사유",
    "Reliability": "신뢰도",
    "Responses": "응답",
    "Return to this run": "이 실행으로 되돌리기",
    "Run": "실행",
    "Seconds per step": "단계별 시간(초)",
    "State": "상태",
    "The band takes the errors of a and b as independent.": "띠는 a와 b의 오차를 서로 독립으로 보고 그린 것입니다.",
    "The figures of each night": "야간 실행별 수치",
    "There are no runs yet.": "아직 실행이 없습니다.",
    "There is no such bank, or it was never run.": "그런 은행이 없거나 실행된 적이 없습니다.",
    "There is no such item in this bank.": "이 은행에 그런 문항이 없습니다.",
    "There is no such run.": "그런 실행이 없습니다.",
    "This DAG calibrates no banks.": "이 DAG는 은행을 보정하지 않습니다.",
    "This run has no anchors.": "이 실행에는 앵커가 없습니다.",
    "This run has no result.": "이 실행에는 결과가 없습니다.",
    "Trigger the DAG with this bank and this run key:": "이 은행과 실행 키로 DAG를 실행하세요:",
    "Users": "응시자",
    "Users, precision and items on one scale": "응시자, 정밀도, 문항을 한 척도에",
    "Window": "기간",
    "a and b over the nights": "야간 실행에 따른 a와 b",
    "ability θ": "능력 θ",
    "ability θ, difficulty b": "능력 θ, 난이도 b",
    "accepted": "통과",
    "all": "전체",
    "anchor": "앵커",
    "answers": "응답 수",
    "ascending": "오름차순",
    "b of this run": "이번 실행의 b",
    "b published before": "이전에 게시된 b",
    "beyond noise": "오차를 넘음",
    "check": "검사",
    "consumers read this": "소비자가 읽는 값",
    "days ago": "일 전",
    "descending": "내림차순",
    "drift": "표류",
    "excluded": "제외",
    "failed": "실패",
    "figure": "값",
    "finding": "결과",
    "held": "보류",
    "hours ago": "시간 전",
    "items": "문항 수",
    "items of this difficulty": "이 난이도의 문항",
    "left out": "제외됨",
    "loaded": "적재됨",
    "mean SE": "평균 표준오차",
    "mean SE of abilities": "능력의 평균 표준오차",
    "next page": "다음",
    "over the last nights": "최근 야간 실행",
    "passed": "통과",
    "previous page": "이전",
    "probability of a right answer": "정답 확률",
    "published": "게시됨",
    "reference b": "기준값 b",
    "rejected": "반려",
    "returned to": "되돌림",
    "running": "실행 중",
    "search item ids": "문항 ID 찾기",
    "share correct": "정답률",
    "skipped": "건너뜀",
    "slope": "기울기",
    "sort by": "정렬",
    "state": "상태",
    "superseded": "대체됨",
    "threshold": "기준",
    "used": "사용됨",
    "users": "응시자 수",
    "verdict": "판정",
    "warned": "경고",
    "warning": "경고",
    "within noise": "오차 안",
    "Where abilities are imprecise": "능력 추정이 부정확한 구간",
}
