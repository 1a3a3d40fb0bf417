"""The conversation: every route that a connector uses, every quirk and every error that it has to tell apart.

It makes its own chats and folders with the ordinary user's key, and takes them away at the end. Times that must be told
apart are set by importing a chat, so that nothing has to wait for the next second.
"""

from tests.open_webui import on_access, on_chats, on_order, on_replies
from tests.open_webui.asking import Asking
from tests.open_webui.builders import CHATS, FOLDERS


def play(asking: Asking) -> None:
    """Everything, in an order in which each part leaves what the next one needs."""
    try:
        on_access.public_and_credentials(asking)
        on_access.paths_and_methods(asking)
        on_chats.creating(asking)
        chat = on_chats.opening_and_changing(asking)
        on_chats.messages(asking, chat)
        on_chats.listing(asking, chat)
        on_order.organizing(asking, chat)
        on_order.folders(asking, chat)
        on_order.tags(asking, chat)
        on_order.searching(asking, chat)
        on_order.sharing_and_copying(asking, chat)
        on_chats.what_moves_the_time(asking)
        on_replies.completing(asking)
        on_replies.stopping(asking)
        on_access.not_mine(asking, chat)
        on_chats.deleting(asking, chat)
    finally:
        _clean(asking)


def _clean(asking: Asking) -> None:
    names = {value: name for value, name in asking.known.items() if not name.startswith("#")}
    for value, name in names.items():
        path = FOLDERS if name.startswith("folder") else CHATS
        asking.quietly("DELETE", f"{path}/{value}", who="admin")
