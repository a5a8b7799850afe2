#include "relay/bridging/bridge_status.h"

#include "base/check.h"

const char *bridge_state_name(enum bridge_state state)
{
	static const char *const NAMES[] = {
		[BRIDGE_STARTING] = "starting", [BRIDGE_WORKING] = "working", [BRIDGE_WAITING] = "waiting"};
	CHECK(state <= BRIDGE_WAITING);
	return NAMES[state];
}
