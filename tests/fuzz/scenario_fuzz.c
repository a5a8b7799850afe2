/* An input is a scenario file. Whatever it is, it is read or refused with a sentence; what is read is within its
 * limits, and its topics can be written. */
#include "fuzz.h"

#include "base/check.h"
#include "bench/measure/stamp.h"
#include "bench/scenario/scenario.h"

static void check_group(const struct scenario_group *group)
{
	uint8_t topic[TOPIC_BYTES_MAX];
	CHECK(scenario_group_fault(group) == NULL);
	CHECK(group->count > 0 && group->qos <= 2 && group->version >= 3 && group->version <= 5);
	CHECK(group->size_min >= STAMP_BYTES && group->size_min <= group->size_max && group->circles > 0);
	CHECK(strlen(group->name) < sizeof(group->name));
	if (topic_pattern_is_set(&group->subscribe))
		CHECK(topic_pattern_write(&group->subscribe, UINT32_MAX, topic) <= sizeof(topic));
	if (topic_pattern_is_set(&group->publish))
		CHECK(topic_pattern_write(&group->publish, UINT32_MAX, topic) <= sizeof(topic));
	CHECK(scenario_group_rate(group, 1) >= 0 && scenario_group_reconnects(group, 1) >= 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct scenario scenario;
	char fault[SCENARIO_FAULT_BYTES] = "";
	if (!scenario_parse("f", slice_of(data, size), &scenario, fault)) {
		CHECK(fault[0] == 'f' && strlen(fault) < sizeof(fault));
		return 0;
	}
	CHECK(scenario_fault(&scenario) == NULL);
	CHECK(scenario.group_count > 0 && scenario.group_count <= SCENARIO_GROUPS_MAX);
	CHECK(scenario.step_count <= SCENARIO_STEPS_MAX);
	for (uint32_t i = 0; i < scenario.group_count; i++)
		check_group(&scenario.groups[i]);
	return 0;
}
