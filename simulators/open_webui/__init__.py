"""Open WebUI 0.12.4, as measured on a running server on 2026-11-20 and -21. `tests/open_webui` compares the two.

Operations (paths below `/api/v1` unless they start with `/api`):
    version config health list_models
    sign_in session_info get_api_key rotate_api_key
    list_chats create_chat import_chats search_chats list_pinned list_archived count_archived export_chats
    export_archived export_all_users list_chats_of_user list_folder_chats page_folder_chats list_shared
    list_all_tags list_chats_by_tag mark_all_read get_shared_chat get_share_access delete_all_chats
    get_chat update_chat delete_chat get_pinned pin_chat archive_chat move_chat share_chat unshare_chat
    clone_chat fork_chat mark_unread set_params edit_message delete_message message_event
    list_chat_tags add_tag remove_tag
    list_folders create_folder get_folder update_folder move_folder expand_folder delete_folder
    complete list_tasks list_chat_tasks stop_task stop_chat_tasks
    open_socket
Everything else is `unknown`: the web app (200, HTML) for GET, 405 for the rest. Frames of a socket are the operations `user_join` and `heartbeat`.

Left out: channels and shared chats, groups, share grants, title and tag generation, statistics, files. The three names below are re-exported because tests and the demo need an application and its keys.
"""

from simulators.open_webui.accounts import ADMIN_KEY, USER_KEY
from simulators.open_webui.server import create_app
from simulators.open_webui.store import Switches

__all__ = ["ADMIN_KEY", "USER_KEY", "Switches", "create_app"]
