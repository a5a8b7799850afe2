/* An input's first byte chooses which of the doctor's parsers gets the rest: files that the kernel and administrators
 * write, and what a server says to the calibration's clients. */
#include "fuzz.h"

#include "doctor/machine/cgroup.h"
#include "doctor/machine/reading.h"
#include "doctor/machine/service.h"
#include "doctor/machine/slabs.h"
#include "doctor/machine/text.h"
#include "doctor/plan/test_clients.h"

#include <stdio.h>

#define PAGE_BYTES 4096u

static void reading_check(struct reading reading)
{
	CHECK(reading.state >= READING_ABSENT && reading.state <= READING_KNOWN);
	CHECK(reading.state == READING_KNOWN || reading_used(reading) == 0);
	CHECK(reading.state == READING_KNOWN || reading_bound(reading) == UINT64_MAX);
}

/* What is a number is the same number when it is written again. */
static void number_try(struct slice text)
{
	char again[32];
	struct reading reading = reading_parse(text);
	reading_check(reading);
	for (uint32_t i = 0; i < 5; i++)
		reading_check(reading_word(text, i));
	reading_check(reading_mask(text));
	if (reading.state != READING_KNOWN)
		return;
	CHECK(reading.value < READING_UNLIMITED_FROM);
	snprintf(again, sizeof(again), "%llu", (unsigned long long)reading.value);
	struct reading second = reading_parse(slice_string(again));
	CHECK(second.state == READING_KNOWN && second.value == reading.value);
}

static void size_try(struct slice text)
{
	struct reading whole = reading_known(1000);
	struct reading unknown = {.state = READING_ABSENT};
	struct reading size = reading_size(text, whole);
	reading_check(size);
	struct reading plain = reading_parse(text);
	if (plain.state == READING_KNOWN)
		CHECK(size.state == READING_KNOWN && size.value == plain.value);
	if (reading_size(text, unknown).state == READING_KNOWN)
		CHECK(size.state == READING_KNOWN);
}

static void service_try(struct slice text)
{
	struct service service = {0};
	struct service_whole whole = {.tasks = reading_known(1000), .memory = reading_known(1u << 30)};
	struct reading logins = {.state = READING_ABSENT};
	service_apply(&service, text, &whole);
	reading_check(service.descriptors);
	reading_check(service.tasks);
	reading_check(service.memory);
	/* The last word counts, whatever came before it. */
	service_apply(&service, slice_string("[Service]\nLimitNOFILE=77\n"), &whole);
	CHECK(service.descriptors.state == READING_KNOWN && service.descriptors.value == 77);
	service_apply_logins(&logins, text);
	reading_check(logins);
}

static bool lies_in(struct slice part, struct slice whole)
{
	return part.data >= whole.data && part.data + part.size <= whole.data + whole.size;
}

static void group_try(struct slice text)
{
	static const char *const CONTROLLERS[] = {"memory", "pids", "cpu", ""};
	for (size_t i = 0; i < sizeof(CONTROLLERS) / sizeof(CONTROLLERS[0]); i++) {
		struct slice path;
		if (cgroup_path(text, CONTROLLERS[i], &path))
			CHECK(lies_in(path, text));
	}
}

static void slabs_try(struct slice text)
{
	struct slabs *slabs = malloc(sizeof(*slabs));
	struct slabs *none = calloc(1, sizeof(*none));
	CHECK(slabs != NULL && none != NULL);
	slabs_parse(slabs, text, PAGE_BYTES);
	CHECK(slabs->count <= SLABS_MAX);
	for (uint32_t i = 0; i < slabs->count; i++)
		CHECK(slabs->caches[i].bytes_each >= 1 && memchr(slabs->caches[i].name, 0, SLAB_NAME_BYTES) != NULL);
	CHECK(slabs_growth_bytes(slabs, slabs, 1) <= 0);
	CHECK(slabs_growth_bytes(none, slabs, 1) >= 0);
	CHECK(slabs_socket_bytes(slabs) < (uint64_t)1 << 32);
	free(slabs);
	free(none);
}

/* Lines and words give back every byte that is not between them. */
static void text_try(struct slice text)
{
	struct slice rest = text;
	struct slice line;
	size_t bytes = 0;
	char copy[16];
	while (text_line(&rest, &line)) {
		struct slice words = line;
		struct slice word;
		CHECK(lies_in(line, text));
		bytes += line.size + 1;
		while (text_word(&words, &word))
			CHECK(word.size > 0 && lies_in(word, line));
		CHECK(lies_in(text_trim(line), line));
	}
	CHECK(bytes == text.size || bytes == text.size + 1);
	text_copy(text, copy, sizeof(copy));
	CHECK(strlen(copy) == (text.size < sizeof(copy) ? text.size : sizeof(copy) - 1));
}

/* In one piece and in two, the clients see the same. */
static void test_clients_try(struct slice bytes)
{
	struct test_clients clients = {.epoll = -1};
	struct test_client whole = {.fd = -1};
	struct test_client halves = {.fd = -1};
	ssize_t used = test_clients_take(&clients, &whole, bytes.data, bytes.size);
	CHECK(used >= -1 && used <= (ssize_t)bytes.size);
	size_t half = bytes.size / 2;
	ssize_t first = test_clients_take(&clients, &halves, bytes.data, half);
	if (first < 0) {
		CHECK(used < 0);
		return;
	}
	ssize_t second = test_clients_take(&clients, &halves, bytes.data + first, bytes.size - (size_t)first);
	CHECK((second < 0) == (used < 0));
	CHECK(used < 0 || first + second == used);
	CHECK(whole.granted == halves.granted && memcmp(whole.seen, halves.seen, sizeof(whole.seen)) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static void (*const TRIES[])(struct slice) = {number_try, size_try, service_try,     group_try,
						      slabs_try,  text_try, test_clients_try};
	if (size == 0)
		return 0;
	TRIES[data[0] % (sizeof(TRIES) / sizeof(TRIES[0]))](slice_of(data + 1, size - 1));
	return 0;
}
