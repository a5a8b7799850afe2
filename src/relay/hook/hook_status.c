#include "relay/hook/hook_status.h"

#include "base/check.h"

const char *hook_state_name(enum hook_state state)
{
	static const char *const NAMES[] = {
		[HOOK_STARTING] = "starting", [HOOK_WORKING] = "working", [HOOK_WAITING] = "waiting"};
	CHECK(state <= HOOK_WAITING);
	return NAMES[state];
}

const char *hook_failure_name(enum hook_failure failure)
{
	static const char *const NAMES[] = {
		[HOOK_NO_HOST] = "no_host",       [HOOK_NO_CONNECTION] = "no_connection",
		[HOOK_NO_TRUST] = "no_trust",     [HOOK_TIMED_OUT] = "timed_out",
		[HOOK_BROKEN] = "broken",         [HOOK_NO_PROCESS] = "no_process",
		[HOOK_REDIRECTED] = "redirected", [HOOK_CLIENT_ERROR] = "client_error",
		[HOOK_REFUSED] = "refused",       [HOOK_SERVER_ERROR] = "server_error",
	};
	_Static_assert(sizeof(NAMES) / sizeof(NAMES[0]) == HOOK_FAILURE_COUNT, "each failure has a name");
	CHECK(failure < HOOK_FAILURE_COUNT);
	return NAMES[failure];
}
