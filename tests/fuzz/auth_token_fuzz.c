/* The first byte says what the rest is: a whole token; a header, a newline and a payload, which are signed with the
 * secret that the verifier knows; or those two with a signature that is wrong in one bit. What comes through must be of
 * the one algorithm, unexpired, for a user, and with rules that can be asked. */
#include "fuzz.h"

#include "auth/rules/acl.h"
#include "auth/text/base64url.h"
#include "auth/token/token.h"

#include <openssl/evp.h>
#include <openssl/hmac.h>

#define NOW_S INT64_C(1700000000)
#define BYTES_MAX 4096u
#define MAC_BYTES 32u

static const char SECRET[] = "a secret of the fuzz target, which is long enough";
static const char PUBLIC_KEYS[] =
	"{\"keys\":[{\"kty\":\"EC\",\"crv\":\"P-256\",\"x\":\"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU\","
	"\"y\":\"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0\",\"kid\":\"es\"},"
	"{\"kty\":\"OKP\",\"crv\":\"Ed25519\",\"x\":\"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo\",\"kid\":\"ed\"}]}";

static struct token_verifier *verifier;
static struct acl *acl;

static void open_once(void)
{
	if (verifier != NULL)
		return;
	struct key_set *keys = key_set_new();
	struct claim_policy policy = claim_policy_default();
	struct jwks_result result;
	struct fault fault;
	CHECK(key_set_add_secret(keys, slice_string("hs"), slice_string(SECRET), &fault));
	CHECK(key_set_add_jwks(keys, slice_string(PUBLIC_KEYS), &result, &fault) && result.added == 2);
	verifier = token_verifier_new(&policy, BYTES_MAX);
	token_verifier_use(verifier, keys);
	key_set_put(&keys);
	acl = acl_new(slice_of(NULL, 0), true, &fault);
	CHECK(verifier != NULL && acl != NULL);
}

static bool is_of_a_token(enum error error)
{
	return error >= ERROR_TOKEN_MALFORMED && error <= ERROR_TOKEN_AUDIENCE;
}

static void verify(struct slice text, bool may_be_good)
{
	struct token token;
	enum error error = token_verify(verifier, text, NOW_S, &token);
	CHECK(error == ERROR_OK || is_of_a_token(error));
	CHECK(text.size <= BYTES_MAX || error == ERROR_TOKEN_TOO_LARGE);
	if (error != ERROR_OK)
		return;
	CHECK(may_be_good && token_has_form(text));
	CHECK(token.key->algorithm == ALGORITHM_HS256);
	CHECK(token.claims.user.size > 0 && token.claims.expires_s > NOW_S - 30);
	struct acl_identity identity = {.client_id = slice_string("c"), .user = token.claims.user};
	acl_check(acl, token.permissions, &identity, ACL_PUBLISH, slice_string("a/b"));
	acl_check(acl, token.permissions, &identity, ACL_SUBSCRIBE, slice_string("a/#"));
}

static void sign_and_verify(struct slice input, bool spoil)
{
	const uint8_t *newline = input.size == 0 ? NULL : memchr(input.data, '\n', input.size);
	size_t header_bytes = newline == NULL ? input.size : (size_t)(newline - input.data);
	struct slice header = slice_of(input.data, header_bytes), payload = slice_of(NULL, 0);
	if (newline != NULL)
		payload = slice_of(newline + 1, input.size - header_bytes - 1);
	uint8_t mac[MAC_BYTES];
	unsigned mac_bytes;
	size_t room = BASE64URL_ENCODED_BYTES(header.size) + BASE64URL_ENCODED_BYTES(payload.size) + 2 +
		      BASE64URL_ENCODED_BYTES(sizeof(mac));
	uint8_t *text = block_new(room);
	size_t size = base64url_encode(header, (char *)text);
	text[size++] = '.';
	size += base64url_encode(payload, (char *)text + size);
	CHECK(HMAC(EVP_sha256(), SECRET, sizeof(SECRET) - 1, text, size, mac, &mac_bytes) != NULL);
	mac[0] ^= spoil;
	text[size++] = '.';
	size += base64url_encode(slice_of(mac, mac_bytes), (char *)text + size);
	CHECK(size == room);
	verify(slice_of(text, size), !spoil);
	free(text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	open_once();
	if (size == 0)
		return 0;
	uint8_t *text = block_new(size - 1);
	if (size > 1)
		memcpy(text, data + 1, size - 1);
	struct slice rest = slice_of(text, size - 1);
	if (data[0] % 3 == 0)
		verify(rest, false);
	else
		sign_and_verify(rest, data[0] % 3 == 2);
	free(text);
	return 0;
}
