#include "doctor/machine/machine.h"

#include "base/check.h"
#include "doctor/machine/slabs.h"
#include "doctor/machine/text.h"

#include <stdio.h>
#include <stdlib.h>

#define CAP_SYS_RESOURCE_BIT 24u
/* systemd's own default of DefaultLimitNOFILE, hard, since version 240. */
#define SYSTEMD_DESCRIPTORS 524288u

enum way {
	WAY_FILE,  /* a word of the file, counted from 0 */
	WAY_LINE,  /* a word after the key, counted from 0 */
	WAY_MASK,  /* hexadecimal, after the key */
	WAY_WORDS, /* words, kept as they are */
	WAY_OTHER, /* a function of its own reads it */
};

static const struct {
	enum way way;
	const char *path;
	const char *key;
	uint32_t word;
} SOURCES[FACT_COUNT] = {
#define X(name, way, path, key, word) [FACT_##name] = {WAY_##way, path, key, word},
	FACT_TABLE(X)
#undef X
};

/* limit_before() and the need of ports and buffers count back or on from one fact to its neighbours. */
_Static_assert(FACT_PORT_LAST == FACT_PORT_FIRST + 1, "both words of ip_local_port_range, in its order");
_Static_assert(FACT_TCP_PAGES_PRESSURE == FACT_TCP_PAGES_LOW + 1 && FACT_TCP_PAGES == FACT_TCP_PAGES_PRESSURE + 1,
	       "the words of tcp_mem, in its order");
_Static_assert(FACT_READ_DEFAULT == FACT_READ_MIN + 1 && FACT_READ_MAX == FACT_READ_DEFAULT + 1,
	       "the words of tcp_rmem, in its order");
_Static_assert(FACT_WRITE_DEFAULT == FACT_WRITE_MIN + 1 && FACT_WRITE_MAX == FACT_WRITE_DEFAULT + 1,
	       "the words of tcp_wmem, in its order");

/* The one that counts first: a unit in /etc replaces one of the same name in /usr. */
static const char *const UNIT_DIRECTORIES[] = {
	"/etc/systemd/system",     "/run/systemd/system", "/usr/local/lib/systemd/system",
	"/usr/lib/systemd/system", "/lib/systemd/system",
};

#define UNIT_DIRECTORY_COUNT (sizeof(UNIT_DIRECTORIES) / sizeof(UNIT_DIRECTORIES[0]))

struct reader {
	const struct root *root;
	struct machine *machine;
	uint8_t *buffer; /* of ROOT_FILE_BYTES_MAX */
	struct service service;
	struct service_whole whole;
};

const char *machine_path(enum fact fact)
{
	CHECK(fact < FACT_COUNT);
	return SOURCES[fact].path;
}

static bool read_text(struct reader *reader, const char *path, struct slice *text)
{
	return root_read(reader->root, path, reader->buffer, text) == ERROR_OK;
}

static struct reading read_simple(struct reader *reader, enum fact fact)
{
	CHECK(SOURCES[fact].way != WAY_OTHER && SOURCES[fact].way != WAY_WORDS);
	CHECK((SOURCES[fact].way == WAY_FILE) == (*SOURCES[fact].key == '\0'));
	struct slice text;
	struct reading absent = {.state = READING_ABSENT};
	if (!read_text(reader, SOURCES[fact].path, &text))
		return absent;
	if (SOURCES[fact].way != WAY_FILE && !text_find(text, SOURCES[fact].key, &text))
		return absent;
	if (SOURCES[fact].way == WAY_MASK)
		return reading_mask(text);
	struct reading reading = reading_word(text, SOURCES[fact].word);
	/* The file is there, but has no such word: nothing that can be used. */
	if (reading.state == READING_ABSENT)
		reading.state = READING_UNREADABLE;
	return reading;
}

static void read_words(struct reader *reader, enum fact fact, char *out)
{
	CHECK(SOURCES[fact].way == WAY_WORDS);
	struct slice text;
	if (!read_text(reader, SOURCES[fact].path, &text))
		return;
	text_copy(text_trim(text), out, MACHINE_WORDS_BYTES);
	reader->machine->facts[fact] = reading_known(1);
}

/* "0.42 0.30 0.25 3/217 9301": the fourth word has running and all threads, proc(5). */
static struct reading threads_used(struct reader *reader)
{
	struct slice text;
	struct slice word;
	if (!read_text(reader, SOURCES[FACT_THREADS_USED].path, &text))
		return (struct reading){.state = READING_ABSENT};
	for (uint32_t i = 0; i < 4; i++) {
		if (!text_word(&text, &word))
			return (struct reading){.state = READING_UNREADABLE};
	}
	const uint8_t *slash = memchr(word.data, '/', word.size);
	if (slash == NULL)
		return (struct reading){.state = READING_UNREADABLE};
	size_t before = (size_t)(slash - word.data) + 1;
	return reading_parse(slice_of(word.data + before, word.size - before));
}

/* The processors that this process may run on: the bits of a mask, which is longer than 64 bits on large machines. */
static struct reading cores(struct reader *reader)
{
	struct slice text;
	uint64_t count = 0;
	if (!read_text(reader, SOURCES[FACT_CORES].path, &text) || !text_find(text, "Cpus_allowed:", &text))
		return (struct reading){.state = READING_ABSENT};
	text = text_trim(text);
	for (size_t i = 0; i < text.size; i++) {
		struct reading digit = reading_mask(slice_of(text.data + i, 1));
		if (digit.state != READING_KNOWN)
			return (struct reading){.state = READING_UNREADABLE};
		count += (uint64_t)__builtin_popcountll(digit.value);
	}
	return count > 0 ? reading_known(count) : (struct reading){.state = READING_UNREADABLE};
}

static struct reading socket_bytes(struct reader *reader)
{
	struct slice text;
	struct reading reading = {.state = READING_ABSENT};
	struct slabs *slabs = malloc(sizeof(*slabs));
	if (slabs != NULL && read_text(reader, SOURCES[FACT_SOCKET_BYTES].path, &text)) {
		slabs_parse(slabs, text, reader->machine->page_bytes);
		uint64_t bytes = slabs_socket_bytes(slabs);
		reading = bytes > 0 ? reading_known(bytes) : (struct reading){.state = READING_UNREADABLE};
	}
	free(slabs);
	return reading;
}

static void apply_service(void *context, const char *path)
{
	struct reader *reader = context;
	struct slice text;
	if (read_text(reader, path, &text))
		service_apply(&reader->service, text, &reader->whole);
}

static void apply_logins(void *context, const char *path)
{
	struct reader *reader = context;
	struct slice text;
	if (read_text(reader, path, &text))
		service_apply_logins(&reader->machine->facts[FACT_DESCRIPTORS_LOGIN], text);
}

/* The limits that the service gets, if systemd knows its unit: the manager's defaults, then the unit, then drop-ins. */
static void read_service(struct reader *reader)
{
	struct machine *machine = reader->machine;
	char path[128];
	struct slice text;
	reader->whole = (struct service_whole){.tasks = machine->facts[FACT_THREADS_MAX],
					       .memory = machine->facts[FACT_MEMORY_TOTAL]};
	reader->service = (struct service){.descriptors = reading_known(SYSTEMD_DESCRIPTORS)};
	apply_service(reader, "/etc/systemd/system.conf");
	for (size_t i = 0; i < UNIT_DIRECTORY_COUNT && !machine->has_unit; i++) {
		snprintf(path, sizeof(path), "%s/roost.service", UNIT_DIRECTORIES[i]);
		machine->has_unit = read_text(reader, path, &text);
		if (machine->has_unit)
			service_apply(&reader->service, text, &reader->whole);
	}
	if (!machine->has_unit)
		return;
	for (size_t i = UNIT_DIRECTORY_COUNT; i-- > 0;) {
		snprintf(path, sizeof(path), "%s/roost.service.d", UNIT_DIRECTORIES[i]);
		root_list(reader->root, path, ".conf", apply_service, reader);
	}
	machine->facts[FACT_DESCRIPTORS_SERVICE] = reader->service.descriptors;
	machine->facts[FACT_TASKS_SERVICE] = reader->service.tasks;
	machine->facts[FACT_MEMORY_SERVICE] = reader->service.memory;
}

/* The fastest link counts, since nothing says which one the clients use. The speed is -1 without a carrier. */
static void take_link(void *context, const char *path)
{
	struct reader *reader = context;
	struct reading *fastest = &reader->machine->facts[FACT_LINK_MBIT];
	char speed[256];
	struct slice text;
	if ((size_t)snprintf(speed, sizeof(speed), "%s/speed", path) >= sizeof(speed) ||
	    !read_text(reader, speed, &text))
		return;
	struct reading here = reading_parse(text);
	if (here.state == READING_KNOWN && here.value > reading_used(*fastest))
		*fastest = here;
}

static void read_cgroup(struct reader *reader)
{
	struct reading *facts = reader->machine->facts;
	struct cgroup group;
	cgroup_read(reader->root, reader->buffer, &group);
	facts[FACT_GROUP_MEMORY] = group.memory_max;
	facts[FACT_GROUP_MEMORY_USED] = group.memory_used;
	facts[FACT_GROUP_TASKS] = group.tasks_max;
	facts[FACT_GROUP_TASKS_USED] = group.tasks_used;
	facts[FACT_GROUP_CPU] = group.cpu_milli;
}

static void take_probes(struct machine *machine, const struct machine_probes *probes)
{
	CHECK(!probes->elsewhere || (!probes->private_tables && !probes->fixed_files));
	struct reading *facts = machine->facts;
	bool disabled = reading_used(facts[FACT_IO_URING_DISABLED]) != 0;
	facts[FACT_PRIVATE_TABLES] = reading_known(probes->elsewhere || probes->private_tables);
	facts[FACT_FIXED_FILES] = reading_known(probes->elsewhere ? !disabled : probes->fixed_files);
}

static void read_all(struct reader *reader, const struct machine_probes *probes)
{
	struct machine *machine = reader->machine;
	/* Pages are multiplied and divided by it. */
	CHECK(probes->page_bytes > 0);
	machine->page_bytes = probes->page_bytes;
	for (uint32_t i = 0; i < FACT_COUNT; i++) {
		if (SOURCES[i].way != WAY_OTHER && SOURCES[i].way != WAY_WORDS)
			machine->facts[i] = read_simple(reader, (enum fact)i);
	}
	read_words(reader, FACT_HUGE_PAGES, machine->huge_pages);
	read_words(reader, FACT_CLOCK_SOURCE, machine->clock_source);
	machine->facts[FACT_THREADS_USED] = threads_used(reader);
	machine->facts[FACT_CORES] = cores(reader);
	machine->facts[FACT_SOCKET_BYTES] = socket_bytes(reader);
	take_probes(machine, probes);
	read_cgroup(reader);
	read_service(reader);
	root_list(reader->root, "/sys/class/net", "", take_link, reader);
	apply_logins(reader, "/etc/security/limits.conf");
	root_list(reader->root, "/etc/security/limits.d", ".conf", apply_logins, reader);
}

struct machine *machine_read(const struct root *root, const struct machine_probes *probes)
{
	struct reader reader = {.root = root};
	reader.machine = calloc(1, sizeof(*reader.machine));
	reader.buffer = malloc(ROOT_FILE_BYTES_MAX);
	if (reader.machine != NULL && reader.buffer != NULL) {
		read_all(&reader, probes);
	} else {
		free(reader.machine);
		reader.machine = NULL;
	}
	free(reader.buffer);
	return reader.machine;
}

void machine_free(struct machine *machine)
{
	free(machine);
}

bool machine_may_raise(const struct machine *machine)
{
	return (reading_used(machine->facts[FACT_CAPABILITIES]) >> CAP_SYS_RESOURCE_BIT & 1) != 0;
}
