/* A JWK set, or, where it begins with '-', a PEM file. Whatever becomes a key can be looked up and does not verify
 * nonsense. */
#include "fuzz.h"

#include "auth/token/key_set.h"

#include <openssl/err.h>

static void try_key(const struct key_set *set, uint32_t index)
{
	static const uint8_t SIGNATURE[64] = {1};
	const struct key *key = key_set_at(set, index);
	struct key_check check = {0};
	CHECK(!key_verify(key, &check, slice_string("message"), slice_of(SIGNATURE, sizeof(SIGNATURE))));
	CHECK(!key_verify(key, &check, slice_string("message"), slice_of(NULL, 0)));
	key_check_fini(&check);
	uint32_t found;
	if (key->id_bytes != 0)
		CHECK(key_set_find(set, key_id(key), key->algorithm, &found) == ERROR_OK && found == index);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct key_set *set = key_set_new();
	struct jwks_result result = {0};
	struct fault fault = {0};
	CHECK(set != NULL);
	uint8_t *text = block_new(size);
	if (size != 0)
		memcpy(text, data, size);
	bool pem = size > 0 && data[0] == '-';
	bool added = pem ? key_set_add_pem(set, slice_string("p"), slice_of(text, size), &fault)
			 : key_set_add_jwks(set, slice_of(text, size), &result, &fault);
	CHECK(added || fault.text[0] != '\0');
	CHECK(key_set_count(set) == (pem ? (uint32_t)added : result.added));
	CHECK(result.skipped == 0 || result.first_reason.text[0] != '\0');
	for (uint32_t i = 0; i < key_set_count(set); i++)
		try_key(set, i);
	CHECK(ERR_peek_error() == 0);
	key_set_put(&set);
	free(text);
	return 0;
}
