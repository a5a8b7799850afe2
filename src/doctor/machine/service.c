#include "doctor/machine/service.h"

#include "doctor/machine/text.h"

static bool is_comment(struct slice line)
{
	return line.size == 0 || line.data[0] == '#' || line.data[0] == ';';
}

/* "1024:524288" is soft and hard; one number is both. */
static struct reading hard_limit(struct slice value)
{
	const uint8_t *colon = value.size > 0 ? memchr(value.data, ':', value.size) : NULL;
	if (colon != NULL) {
		size_t soft = (size_t)(colon - value.data) + 1;
		value = slice_of(value.data + soft, value.size - soft);
	}
	return reading_parse(value);
}

static void assign(struct service *service, struct slice name, struct slice value, const struct service_whole *whole)
{
	struct reading said = {.state = READING_ABSENT};
	if (text_is(name, "LimitNOFILE") || text_is(name, "DefaultLimitNOFILE")) {
		service->descriptors = value.size > 0 ? hard_limit(value) : said;
	} else if (text_is(name, "TasksMax")) {
		service->tasks = value.size > 0 ? reading_size(value, whole->tasks) : said;
	} else if (text_is(name, "MemoryMax")) {
		service->memory = value.size > 0 ? reading_size(value, whole->memory) : said;
	}
}

void service_apply(struct service *service, struct slice text, const struct service_whole *whole)
{
	bool ours = false;
	struct slice line;
	while (text_line(&text, &line)) {
		line = text_trim(line);
		if (is_comment(line))
			continue;
		if (line.data[0] == '[') {
			ours = text_is(line, "[Service]") || text_is(line, "[Manager]");
			continue;
		}
		const uint8_t *equals = memchr(line.data, '=', line.size);
		if (!ours || equals == NULL)
			continue;
		size_t size = (size_t)(equals - line.data);
		struct slice name = text_trim(slice_of(line.data, size));
		struct slice value = text_trim(slice_of(equals + 1, line.size - size - 1));
		assign(service, name, value, whole);
	}
}

static struct reading login_limit(struct slice value)
{
	if (text_is(value, "-1"))
		return (struct reading){.state = READING_UNLIMITED};
	return reading_parse(value);
}

void service_apply_logins(struct reading *descriptors, struct slice text)
{
	struct slice line;
	while (text_line(&text, &line)) {
		struct slice domain;
		struct slice type;
		struct slice item;
		struct slice value;
		if (!text_word(&line, &domain) || is_comment(domain) || !text_word(&line, &type) ||
		    !text_word(&line, &item) || !text_word(&line, &value))
			continue;
		bool is_hard = text_is(type, "hard") || text_is(type, "-");
		if (text_is(domain, "*") && is_hard && text_is(item, "nofile"))
			*descriptors = login_limit(value);
	}
}
