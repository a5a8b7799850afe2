#include "auth/token/claims.h"

#include <stdlib.h>

/* A whole number of so many digits is below CLAIM_SECONDS_MAX's power of ten and cannot overflow. */
#define PLAIN_DIGITS_MAX 12u
#define NUMBER_BYTES_MAX 31u

_Static_assert(PLAIN_DIGITS_MAX <= 18, "ten to the power of 18 is below 2^63");

struct claim_policy claim_policy_default(void)
{
	return (struct claim_policy){
		.client_id = slice_string("client_id"),
		.user = slice_string("sub"),
		.permissions = slice_string("permissions"),
		.expiry_required = true,
		.leeway_s = 30,
	};
}

/* The whole name first: claims are often named by URLs, which have dots of their own. */
static const struct strict_node *claims_find(const struct strict_json *json, const struct strict_node *object,
					     struct slice path)
{
	const struct strict_node *found = strict_member(json, object, path);
	for (size_t dot = 0; found == NULL && dot < path.size; dot++) {
		if (path.data[dot] != '.')
			continue;
		const struct strict_node *outer = strict_member(json, object, slice_of(path.data, dot));
		if (outer != NULL)
			found = claims_find(json, outer, slice_of(path.data + dot + 1, path.size - dot - 1));
	}
	return found;
}

static const struct strict_node *claims_member(const struct strict_json *json, const char *name)
{
	return strict_member(json, json->nodes, slice_string(name));
}

static bool claims_is_plain_number(struct slice number)
{
	for (size_t i = 0; i < number.size; i++)
		if (number.data[i] < '0' || number.data[i] > '9')
			return false;
	return number.size <= PLAIN_DIGITS_MAX;
}

/* [RFC 7519, 2]: NumericDate may have a fraction, which is left off, and any form that JSON has for a number. */
static bool claims_read_seconds(const struct strict_node *node, int64_t *seconds)
{
	struct slice number = node->text;
	*seconds = 0;
	if (node->type != STRICT_NUMBER)
		return false;
	if (claims_is_plain_number(number)) {
		for (size_t i = 0; i < number.size; i++)
			*seconds = *seconds * 10 + (number.data[i] - '0');
		return *seconds <= CLAIM_SECONDS_MAX;
	}
	char text[NUMBER_BYTES_MAX + 1];
	if (number.size > NUMBER_BYTES_MAX)
		return false;
	memcpy(text, number.data, number.size);
	text[number.size] = '\0';
	double value = strtod(text, NULL);
	if (!(value >= 0 && value <= (double)CLAIM_SECONDS_MAX))
		return false;
	*seconds = (int64_t)value;
	return true;
}

static enum error claims_optional_seconds(const struct strict_json *json, const char *name, int64_t missing,
					  int64_t *seconds)
{
	const struct strict_node *node = claims_member(json, name);
	*seconds = missing;
	return node == NULL || claims_read_seconds(node, seconds) ? ERROR_OK : ERROR_TOKEN_CLAIM;
}

static enum error claims_read_times(const struct strict_json *json, const struct claim_policy *policy, int64_t now_s,
				    struct claims *claims)
{
	int64_t not_before_s;
	if (claims_optional_seconds(json, "exp", CLAIM_NEVER, &claims->expires_s) != ERROR_OK ||
	    claims_optional_seconds(json, "nbf", 0, &not_before_s) != ERROR_OK ||
	    claims_optional_seconds(json, "iat", 0, &claims->issued_s) != ERROR_OK)
		return ERROR_TOKEN_CLAIM;
	if (claims->expires_s == CLAIM_NEVER && policy->expiry_required)
		return ERROR_TOKEN_CLAIM;
	/* On or after it, it must not be accepted [RFC 7519, 4.1.4]. */
	if (now_s - (int64_t)policy->leeway_s >= claims->expires_s)
		return ERROR_TOKEN_EXPIRED;
	int64_t latest_s = now_s + (int64_t)policy->leeway_s;
	return latest_s < not_before_s || latest_s < claims->issued_s ? ERROR_TOKEN_NOT_YET : ERROR_OK;
}

static bool claims_text_is(const struct strict_node *node, struct slice wanted)
{
	return node->type == STRICT_STRING && slice_equal(node->text, wanted);
}

/* [RFC 7519, 4.1.3]: a recipient that "aud" does not name must reject the token. */
static bool claims_audience_is(const struct strict_json *json, struct slice audience)
{
	const struct strict_node *node = claims_member(json, "aud");
	if (node == NULL || audience.size == 0)
		return node == NULL && audience.size == 0;
	if (node->type != STRICT_ARRAY)
		return claims_text_is(node, audience);
	const struct strict_node *one = strict_first(node);
	for (uint32_t i = 0; i < node->count; i++, one = strict_next(json, one))
		if (claims_text_is(one, audience))
			return true;
	return false;
}

static enum error claims_check_parties(const struct strict_json *json, const struct claim_policy *policy)
{
	if (policy->issuer.size != 0) {
		const struct strict_node *issuer = claims_member(json, "iss");
		if (issuer == NULL || !claims_text_is(issuer, policy->issuer))
			return ERROR_TOKEN_ISSUER;
	}
	return claims_audience_is(json, policy->audience) ? ERROR_OK : ERROR_TOKEN_AUDIENCE;
}

/* A string, or a whole number, which many issuers number their users with: it stands for its digits. */
static enum error claims_read_name(const struct strict_node *node, struct slice *name)
{
	*name = slice_of(NULL, 0);
	if (node == NULL)
		return ERROR_OK;
	if (node->type != STRICT_STRING && !(node->type == STRICT_NUMBER && claims_is_plain_number(node->text)))
		return ERROR_TOKEN_CLAIM;
	*name = node->text;
	return name->size == 0 || name->size > UINT16_MAX ? ERROR_TOKEN_CLAIM : ERROR_OK;
}

static enum error claims_mapped_name(const struct strict_json *json, struct slice path, struct slice *name)
{
	return claims_read_name(path.size == 0 ? NULL : claims_find(json, json->nodes, path), name);
}

static enum error claims_read_names(const struct strict_json *json, const struct claim_policy *policy,
				    struct claims *claims)
{
	if (claims_read_name(claims_member(json, "jti"), &claims->id) != ERROR_OK ||
	    claims_mapped_name(json, policy->client_id, &claims->client_id) != ERROR_OK ||
	    claims_mapped_name(json, policy->user, &claims->user) != ERROR_OK)
		return ERROR_TOKEN_CLAIM;
	bool user_missing = policy->user.size != 0 && claims->user.size == 0;
	bool client_id_missing = policy->client_id_required && claims->client_id.size == 0;
	bool token_id_missing = policy->token_id_required && claims->id.size == 0;
	return user_missing || client_id_missing || token_id_missing ? ERROR_TOKEN_CLAIM : ERROR_OK;
}

enum error claims_read(const struct strict_json *json, const struct claim_policy *policy, int64_t now_s,
		       struct claims *claims)
{
	*claims = (struct claims){0};
	enum error error = claims_read_times(json, policy, now_s, claims);
	if (error == ERROR_OK)
		error = claims_check_parties(json, policy);
	if (error == ERROR_OK)
		error = claims_read_names(json, policy, claims);
	if (error == ERROR_OK && policy->permissions.size != 0)
		claims->permissions = claims_find(json, json->nodes, policy->permissions);
	return error;
}
