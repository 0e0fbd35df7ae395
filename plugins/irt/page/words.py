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
    "95 % bars of this run; some miss the line by chance.": (
        "막대는 이번 실행의 95% 구간입니다. 우연히 선에서 벗어나는 문항도 있습니다."
    ),
    "95 % bars, too wide for nights that share answers; some miss the line by chance.": (
        "막대는 95% 구간이며, 응답을 공유하는 야간 실행 사이에서는 실제보다 넓습니다. "
        "우연히 선에서 벗어나는 문항도 있습니다."
    ),
    "All checks passed. Nothing was published.": "모든 검사를 통과했습니다. 아무것도 게시되지 않았습니다.",
    "All items": "모든 문항",
    "Anchors": "앵커",
    "Anchors: this run against the reference": "앵커: 이번 실행의 값과 기준값",
    "Answers by day": "날짜별 응답",
    "Approved by": "승인한 사람",
    "Bank": "은행",
    "Banks": "은행",
    "Change": "변화",
    "Change level": "수준이 바뀌는 응시자",
    "Change of abilities since the last publication": "마지막 게시 이후 능력의 변화",
    "Change: b now against b published": "변화: 지금의 b와 게시된 b",
    "Checks": "검사",
    "Checks not passed": "통과하지 못한 검사",
    "Compared with run": "비교한 실행:",
    "Consumers have no calibration of this bank yet.": "이 은행에는 아직 소비자가 읽을 보정 결과가 없습니다.",
    "Consumers read run {run}, published at {at}.": "지금 소비자가 읽는 값은 {at}에 게시된 실행 {run}의 것입니다.",
    "Consumers read an earlier result of this run, published at {at}.": (
        "지금 소비자가 읽는 값은 {at}에 게시된, 이 실행의 이전 결과입니다."
    ),
    "Consumers read this run.": "지금 소비자가 읽는 값은 이 실행의 것입니다.",
    "Contract": "계약",
    "Correct the answers and clear extract_responses, or publish the run with irt_publish_rejected.": (
        "응답이 잘못되었으면 바로잡은 뒤 extract_responses를 Clear하고, "
        "실행이 옳으면 irt_publish_rejected로 게시하세요."
    ),
    "Download as CSV": "CSV로 내려받기",
    "Engine": "엔진",
    "Figures": "수치",
    "Filter": "걸러 보기",
    "Fit": "적합도",
    "Found: {what}.": "확인된 것: {what}.",
    "From level to level": "수준 간 이동",
    "Held": "보류",
    "Held items": "보류된 문항",
    "IRT calibration": "IRT 보정",
    "Item": "문항",
    "Item characteristic curve": "문항 특성 곡선",
    "Items": "문항",
    "Items that are drawn:": "그린 문항:",
    "Items that are shown:": "표시한 문항:",
    "Last good publication": "마지막 정상 게시",
    "Last run": "마지막 실행",
    "Linking intercept": "연결 절편",
    "Linking slope": "연결 기울기",
    "Load": "적재",
    "Log-likelihood per answer": "응답당 로그가능도",
    "Mean change": "평균 변화",
    "Misfit of the items (RMSD)": "문항의 부적합(RMSD)",
    "Moved by more than": "다음보다 크게 바뀜:",
    "Nights": "야간 실행",
    "No item is held.": "보류된 문항이 없습니다.",
    "Nothing else stood out.": "그 밖에 눈에 띄는 것은 없습니다.",
    "Nothing was ever published.": "아직 게시된 것이 없습니다.",
    "Open irt_publish_rollback": "irt_publish_rollback 열기",
    "Packages of the engine": "엔진의 패키지",
    "Packages of the pipeline": "파이프라인의 패키지",
    "Points: shares of right answers, with 95 % intervals; an answer counts at each ability by its user's posterior.": (
        "점은 능력별 정답률과 95% 구간입니다. 각 응답은 응시자의 사후분포만큼 각 능력에 나누어 셉니다."
    ),
    "Precision": "정밀도",
    "Published": "게시",
    "Published at {at}: {items} items, abilities of {users} users.": (
        "{at}에 게시됨: 문항 {items}개, 응시자 {users}명의 능력."
    ),
    "RMSD: how far an item's right answers are from its curve, on the scale of probabilities.": (
        "RMSD: 문항의 정답률이 특성 곡선에서 벗어난 정도(확률 단위)."
    ),
    "Rank correlation": "순위 상관",
    "Rank moved by more than 10 points": "순위가 10백분위 넘게 바뀜",
    "Reasons": "사유",
    "Rejected: these checks failed: {failed}. Nothing was published.": (
        "반려됨: 실패한 검사 {failed}. 아무것도 게시되지 않았습니다."
    ),
    "Reliability": "신뢰도",
    "Report of run": "실행 보고서",
    "Report to print or send": "인쇄하거나 보낼 보고서",
    "Responses": "응답",
    "Return to this run": "이 실행으로 되돌리기",
    "Run": "실행",
    "Seconds per step": "단계별 시간(초)",
    "Settings of the bank": "은행의 설정",
    "Settings, versions and inputs": "설정, 버전, 입력",
    "Staged object": "스테이징된 객체",
    "State": "상태",
    "Superseded: the bank had already published newer answers, so nothing was published.": (
        "대체됨: 은행에 더 새로운 응답의 결과가 이미 게시되어 있어 게시하지 않았습니다."
    ),
    "The answers behind this item have not been counted: the run's task report does it.": (
        "이 문항의 응답은 아직 집계되지 않았습니다. 실행의 report 태스크가 집계합니다."
    ),
    "The band takes the errors of a and b as independent.": "띠는 a와 b의 오차를 서로 독립으로 보고 그린 것입니다.",
    "The engine gave no item fit.": "엔진이 문항 적합도를 내지 않았습니다.",
    "The figures of each night": "야간 실행별 수치",
    "The state of the run is: {state}. It is not published.": "실행의 상태: {state}. 게시되지 않았습니다.",
    "The worst items": "적합도가 가장 나쁜 문항",
    "There are no abilities published before to compare with.": "비교할 이전 게시 능력이 없습니다.",
    "There are no items published before to compare with.": "비교할 이전 게시 문항이 없습니다.",
    "There are no runs yet.": "아직 실행이 없습니다.",
    "There is no such bank, or it was never run.": "그런 은행이 없거나 실행된 적이 없습니다.",
    "There is no such item in this bank.": "이 은행에 그런 문항이 없습니다.",
    "There is no such run, or it has no result.": "그런 실행이 없거나 결과가 없습니다.",
    "There is no such run.": "그런 실행이 없습니다.",
    "This DAG calibrates no banks.": "이 DAG는 은행을 보정하지 않습니다.",
    "This run has no anchors.": "이 실행에는 앵커가 없습니다.",
    "This run has no result.": "이 실행에는 결과가 없습니다.",
    "To do: if a task of this run failed, read its log, and clear it once the cause is gone.": (
        "할 일: 이 실행의 태스크가 실패했으면 로그를 읽고, 원인이 사라진 뒤 Clear하세요."
    ),
    "To do: nothing is urgent. Look at the warnings and the held items when there is time.": (
        "할 일: 급한 것은 없습니다. 시간이 날 때 경고와 보류된 문항을 살펴보세요."
    ),
    "To do: nothing. A dry run is never published.": "할 일: 없습니다. 모의 실행(dry run)은 게시되지 않습니다.",
    "To do: nothing.": "할 일: 없습니다.",
    "To do: read what the failed checks found.": "할 일: 실패한 검사의 결과를 읽으세요.",
    "Trigger the DAG with this bank and this run key:": "이 은행과 실행 키로 DAG를 실행하세요:",
    "Users": "응시자",
    "Users in both": "양쪽에 다 있는 응시자",
    "Users, precision, information and items on one scale": "응시자, 정밀도, 정보량, 문항을 한 척도에",
    "Where abilities are imprecise": "능력 추정이 부정확한 구간",
    "Who changes": "누가 바뀌는가",
    "Window": "기간",
    "a and b over the nights": "야간 실행에 따른 a와 b",
    "a of this run": "이번 실행의 a",
    "ability θ": "능력 θ",
    "ability θ, difficulty b": "능력 θ, 난이도 b",
    "accepted": "통과",
    "all": "전체",
    "anchor": "앵커",
    "answers": "응답 수",
    "ascending": "오름차순",
    "b over the nights": "야간 실행에 따른 b",
    "b of this run": "이번 실행의 b",
    "b published before": "이전에 게시된 b",
    "before": "이전",
    "beyond noise": "오차를 넘음",
    "change of ability, in SDs of those published": "능력의 변화(게시된 능력의 표준편차 단위)",
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
    "information of all items": "전체 문항의 정보량",
    "items": "문항 수",
    "items with a warning: {n} ({names})": "경고가 나온 문항 {n}개({names})",
    "items of this difficulty": "이 난이도의 문항",
    "left out": "제외됨",
    "loaded": "적재됨",
    "mean SE": "평균 표준오차",
    "mean SE of abilities": "능력의 평균 표준오차",
    "next page": "다음",
    "now": "지금",
    "over the last nights": "최근 야간 실행",
    "passed": "통과",
    "previous page": "이전",
    "probability of a right answer": "정답 확률",
    "published": "게시됨",
    "reference a": "기준값 a",
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
    "checks with a warning: {n} ({names})": "경고가 나온 검사 {n}개({names})",
    "within noise": "오차 안",
    "anchors left out: {n} ({names})": "제외된 앵커 {n}개({names})",
    "held items: {n} ({names})": "보류된 문항 {n}개({names})",
    "users who change level: {n}": "수준이 바뀌는 응시자 {n}명",
}
