#include "base/error.h"

#include "base/check.h"

_Static_assert(ERROR_OK == 0, "a zeroed result is no error");

static const struct {
	const char *name;
	const char *rule;
	const char *sentence;
} TABLE[ERROR_COUNT] = {
#define X(code, rule, sentence) [ERROR_##code] = {#code, rule, sentence},
	ERROR_TABLE(X)
#undef X
};

const char *error_name(enum error error)
{
	CHECK(error < ERROR_COUNT);
	return TABLE[error].name;
}

const char *error_sentence(enum error error)
{
	CHECK(error < ERROR_COUNT);
	return TABLE[error].sentence;
}

const char *error_rule(enum error error)
{
	CHECK(error < ERROR_COUNT);
	return TABLE[error].rule;
}
