#include "base/check.h"
#include "store/format/record.h"

/* An element of a run's body: how far the next session and entry are from the ones before, and how often that holds.
 *
 *     element = varint(2 * zigzag(session step) + repeats), varint(zigzag(entry step)), [varint(times)]
 *
 * times: only where it repeats, at least 2. So steps that do not change take a few bytes in all, others two or three
 * each. */

/* What is written; anything within 32 bits is read. No element is longer than the record QUEUED that it stands for. */
#define STEP_MAX ((int64_t)1 << 18)

static uint64_t run_zigzag(int64_t value)
{
	return ((uint64_t)value << 1) ^ (uint64_t)(value >> 63);
}

static int64_t run_unzigzag(uint64_t value)
{
	return (int64_t)(value >> 1) ^ -(int64_t)(value & 1);
}

/* ---- writing ---- */

void store_run_begin(struct store_run *run, const struct store_record *queued)
{
	CHECK(queued->kind == STORE_QUEUED && store_run_may_have(queued));
	*run = (struct store_run){.first = *queued, .session = queued->session, .entry = queued->entry, .count = 1};
}

static uint8_t *run_put_element(const struct store_run *run, uint8_t *to)
{
	uint64_t repeats = run->times > 1;
	to = store_varint_put(to, 2 * run_zigzag(run->session_step) + repeats);
	to = store_varint_put(to, run_zigzag(run->entry_step));
	return repeats ? store_varint_put(to, run->times) : to;
}

bool store_run_takes(const struct store_run *run, const struct store_record *queued)
{
	int64_t session_step = (int64_t)queued->session - run->session;
	int64_t entry_step = (int64_t)queued->entry - run->entry;
	return queued->kind == STORE_QUEUED && store_run_may_have(queued) && run->count < STORE_RUN_COUNT_MAX &&
	       queued->message == run->first.message && queued->flags == run->first.flags &&
	       queued->identifier == run->first.identifier && session_step >= -STEP_MAX && session_step < STEP_MAX &&
	       entry_step >= -STEP_MAX && entry_step < STEP_MAX;
}

size_t store_run_add(struct store_run *run, const struct store_record *queued, uint8_t *to)
{
	CHECK(store_run_takes(run, queued));
	int64_t session_step = (int64_t)queued->session - run->session;
	int64_t entry_step = (int64_t)queued->entry - run->entry;
	uint8_t *end = to;
	if (run->times != 0 && (session_step != run->session_step || entry_step != run->entry_step)) {
		end = run_put_element(run, to);
		run->times = 0;
	}
	run->session_step = session_step;
	run->entry_step = entry_step;
	run->times++;
	run->session = queued->session;
	run->entry = queued->entry;
	run->count++;
	return (size_t)(end - to);
}

size_t store_run_end(struct store_run *run, uint8_t *to)
{
	CHECK(run->count > 1 && run->times > 0);
	run->first.kind = STORE_QUEUED_RUN;
	run->first.count = run->count;
	return (size_t)(run_put_element(run, to) - to);
}

/* ---- reading ---- */

/* False: these bytes are no element. */
static bool run_get_element(struct store_run *run)
{
	const uint8_t *at = run->rest.data, *end = at + run->rest.size;
	uint64_t session_step = 0, entry_step = 0, times = 1;
	at = store_varint_get(at, end, &session_step);
	if (at != NULL)
		at = store_varint_get(at, end, &entry_step);
	if (at != NULL && (session_step & 1) != 0)
		at = store_varint_get(at, end, &times);
	if (at == NULL || session_step >> 1 > UINT64_C(1) << 33 || entry_step > UINT64_C(1) << 33 || times == 0 ||
	    times > STORE_RUN_COUNT_MAX)
		return false;
	run->session_step = run_unzigzag(session_step >> 1);
	run->entry_step = run_unzigzag(entry_step);
	run->times = (uint32_t)times;
	run->rest = slice_of(at, (size_t)(end - at));
	return true;
}

void store_run_open(struct store_run *run, const struct store_record *record)
{
	CHECK_EQ(record->kind, STORE_QUEUED_RUN);
	*run = (struct store_run){.first = *record,
				  .session = record->session,
				  .entry = record->entry,
				  .count = record->count,
				  .rest = record->body};
	run->first.kind = STORE_QUEUED;
	run->first.body = slice_of(NULL, 0);
}

bool store_run_next(struct store_run *run, struct store_record *queued)
{
	if (run->count == 0)
		return false;
	*queued = run->first;
	queued->session = run->session;
	queued->entry = run->entry;
	run->count--;
	if (run->count == 0)
		return true;
	if (run->times == 0)
		CHECK(run_get_element(run)); /* store_run_is_sound() */
	run->times--;
	run->session = (uint32_t)((int64_t)run->session + run->session_step);
	run->entry = (uint32_t)((int64_t)run->entry + run->entry_step);
	return true;
}

/* A name that stays above 0 and in 32 bits for so many steps. */
static bool run_step(int64_t *name, int64_t step, uint32_t times)
{
	*name += step * (int64_t)times;
	return *name > 0 && *name <= (int64_t)UINT32_MAX;
}

bool store_run_is_sound(const struct store_record *record)
{
	if (record->count < 2 || record->count > STORE_RUN_COUNT_MAX)
		return false;
	struct store_run run;
	store_run_open(&run, record);
	int64_t session = record->session, entry = record->entry;
	uint32_t left = record->count - 1;
	while (left != 0) {
		if (!run_get_element(&run) || run.times > left || !run_step(&session, run.session_step, run.times) ||
		    !run_step(&entry, run.entry_step, run.times))
			return false;
		left -= run.times;
	}
	return run.rest.size == 0;
}
