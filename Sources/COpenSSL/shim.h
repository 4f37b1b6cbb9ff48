/*
 * How OpenSSL 3 (libcrypto) is reached from Swift.
 *
 * Keys enter OpenSSL as numbers through EVP_PKEY_fromdata: its general decoders take some 350 microseconds for a key,
 * as long as signing almost twenty records with P-256, and this takes less than 20. OSSL_PARAM wants integers in the machine's
 * byte order and names as C strings, which is what these few functions hide. Only supported, non-deprecated calls.
 */
#ifndef CHANCERY_COPENSSL_SHIM_H
#define CHANCERY_COPENSSL_SHIM_H

#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/ec.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/obj_mac.h>
#include <openssl/params.h>
#include <openssl/pem.h>
#include <openssl/pkcs12.h>
#include <openssl/rand.h>
#include <openssl/rsa.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>
#include <stdint.h>
#include <string.h>

enum { CHANCERY_P256_SCALAR_BYTES = 32, CHANCERY_P256_POINT_BYTES = 65 };

/* An unsigned integer, most significant byte first. Borrowed for the length of a call. */
typedef struct {
  const uint8_t *bytes;
  size_t count;
} chancery_integer;

/* Reverses `count` bytes: big-endian to little-endian, the order of OSSL_PARAM integers on every machine we build for. */
static inline void chancery_reverse(uint8_t *to, const uint8_t *from, size_t count) {
  for (size_t i = 0; i < count; i++) to[i] = from[count - 1 - i];
}

static inline EVP_PKEY *chancery_key_from_params(const char *type, int selection, OSSL_PARAM *params) {
  EVP_PKEY *key = NULL;
  EVP_PKEY_CTX *context = EVP_PKEY_CTX_new_from_name(NULL, type, NULL);
  if (context == NULL) return NULL;
  if (EVP_PKEY_fromdata_init(context) != 1 || EVP_PKEY_fromdata(context, &key, selection, params) != 1) {
    EVP_PKEY_free(key);
    key = NULL;
  }
  EVP_PKEY_CTX_free(context);
  return key;
}

/* A P-256 key from its point and, unless NULL, its 32-byte big-endian scalar. NULL on error, reasons queued. */
static inline EVP_PKEY *chancery_p256_key(const uint8_t *scalar, const uint8_t *point, size_t point_count) {
  uint8_t native[CHANCERY_P256_SCALAR_BYTES];
  OSSL_PARAM params[4];
  size_t n = 0;
  params[n++] = OSSL_PARAM_construct_utf8_string(OSSL_PKEY_PARAM_GROUP_NAME, (char *)"prime256v1", 0);
  params[n++] = OSSL_PARAM_construct_octet_string(OSSL_PKEY_PARAM_PUB_KEY, (void *)point, point_count);
  if (scalar != NULL) {
    chancery_reverse(native, scalar, sizeof native);
    params[n++] = OSSL_PARAM_construct_BN(OSSL_PKEY_PARAM_PRIV_KEY, native, sizeof native);
  }
  params[n] = OSSL_PARAM_construct_end();
  EVP_PKEY *key = chancery_key_from_params("EC", scalar != NULL ? EVP_PKEY_KEYPAIR : EVP_PKEY_PUBLIC_KEY, params);
  OPENSSL_cleanse(native, sizeof native);
  return key;
}

/*
 * The uncompressed point of a scalar. Returns 1 and fills `point`, 0 if the scalar is not in [1, order - 1], or -1 if
 * the library failed, reasons queued.
 */
static inline int chancery_p256_point(const uint8_t *scalar, uint8_t *point) {
  int result = -1;
  EC_GROUP *group = EC_GROUP_new_by_curve_name(NID_X9_62_prime256v1);
  EC_POINT *public_point = group != NULL ? EC_POINT_new(group) : NULL;
  BIGNUM *d = BN_secure_new();
  if (public_point != NULL && d != NULL && BN_bin2bn(scalar, CHANCERY_P256_SCALAR_BYTES, d) != NULL) {
    BN_set_flags(d, BN_FLG_CONSTTIME);
    if (BN_is_zero(d) || BN_cmp(d, EC_GROUP_get0_order(group)) >= 0)
      result = 0;
    else if (EC_POINT_mul(group, public_point, d, NULL, NULL, NULL) == 1
             && EC_POINT_point2oct(group, public_point, POINT_CONVERSION_UNCOMPRESSED, point,
                                   CHANCERY_P256_POINT_BYTES, NULL) == CHANCERY_P256_POINT_BYTES)
      result = 1;
  }
  BN_clear_free(d);
  EC_POINT_free(public_point);
  EC_GROUP_free(group);
  return result;
}

/* Expands a compressed or checks an uncompressed point. 1 on success, 0 if it is not a point of the curve. */
static inline int chancery_p256_normalize(const uint8_t *encoded, size_t count, uint8_t *point) {
  int ok = 0;
  EC_GROUP *group = EC_GROUP_new_by_curve_name(NID_X9_62_prime256v1);
  EC_POINT *public_point = group != NULL ? EC_POINT_new(group) : NULL;
  if (public_point != NULL && EC_POINT_oct2point(group, public_point, encoded, count, NULL) == 1
      && EC_POINT_is_at_infinity(group, public_point) == 0)
    ok = EC_POINT_point2oct(group, public_point, POINT_CONVERSION_UNCOMPRESSED, point, CHANCERY_P256_POINT_BYTES, NULL)
         == CHANCERY_P256_POINT_BYTES;
  EC_POINT_free(public_point);
  EC_GROUP_free(group);
  return ok;
}

/* RSA integers are passed in the order of RSAPrivateKey (RFC 8017, A.1.2). A public key has the first two. */
enum { CHANCERY_RSA_PUBLIC_PARTS = 2, CHANCERY_RSA_PARTS = 8 };

static inline const char *chancery_rsa_part_name(size_t index) {
  static const char *const names[CHANCERY_RSA_PARTS] = {
      OSSL_PKEY_PARAM_RSA_N,       OSSL_PKEY_PARAM_RSA_E,         OSSL_PKEY_PARAM_RSA_D,
      OSSL_PKEY_PARAM_RSA_FACTOR1, OSSL_PKEY_PARAM_RSA_FACTOR2,   OSSL_PKEY_PARAM_RSA_EXPONENT1,
      OSSL_PKEY_PARAM_RSA_EXPONENT2, OSSL_PKEY_PARAM_RSA_COEFFICIENT1};
  return names[index];
}

/*
 * An RSA key from 2 (public) or 8 (private) integers. `scratch` takes the integers in machine order: as many bytes as
 * all parts together; the caller wipes it. NULL on error, reasons queued.
 */
static inline EVP_PKEY *chancery_rsa_key(const chancery_integer *parts, size_t count, uint8_t *scratch) {
  OSSL_PARAM params[CHANCERY_RSA_PARTS + 1];
  for (size_t i = 0; i < count; i++) {
    chancery_reverse(scratch, parts[i].bytes, parts[i].count);
    params[i] = OSSL_PARAM_construct_BN(chancery_rsa_part_name(i), scratch, parts[i].count);
    scratch += parts[i].count;
  }
  params[count] = OSSL_PARAM_construct_end();
  return chancery_key_from_params("RSA", count == CHANCERY_RSA_PARTS ? EVP_PKEY_KEYPAIR : EVP_PKEY_PUBLIC_KEY, params);
}

/* Writes one integer of an RSA key into exactly `count` bytes, big-endian, zero padded. 1 on success. */
static inline int chancery_rsa_part(const EVP_PKEY *key, size_t index, uint8_t *to, size_t count) {
  OSSL_PARAM params[2] = {
      OSSL_PARAM_construct_BN(chancery_rsa_part_name(index), to, count), OSSL_PARAM_construct_end()};
  if (EVP_PKEY_get_params(key, params) != 1 || params[0].return_size != count) return 0;
  for (size_t i = 0; i < count / 2; i++) {
    uint8_t swapped = to[i];
    to[i] = to[count - 1 - i];
    to[count - 1 - i] = swapped;
  }
  return 1;
}

/* A new RSA key with public exponent 65537. Swift cannot call the variadic function behind EVP_RSA_gen. */
static inline EVP_PKEY *chancery_rsa_generate(size_t bits) { return EVP_PKEY_Q_keygen(NULL, NULL, "RSA", bits); }

/* A passphrase for PEM_do_header. `bytes` may be NULL when `count` is 0. */
typedef struct {
  const uint8_t *bytes;
  size_t count;
} chancery_passphrase;

static inline int chancery_pass_callback(char *buffer, int size, int writing, void *context) {
  const chancery_passphrase *passphrase = (const chancery_passphrase *)context;
  (void)writing;
  if (size < 0 || passphrase->count > (size_t)size) return -1;
  if (passphrase->count > 0) memcpy(buffer, passphrase->bytes, passphrase->count);
  return (int)passphrase->count;
}

/* Decrypts the body of a traditional encrypted PEM in place (its Proc-Type and DEK-Info headers in `header`). */
static inline int chancery_decrypt_traditional_pem(char *header, uint8_t *body, long *count, const uint8_t *passphrase,
                                                   size_t passphrase_count) {
  EVP_CIPHER_INFO cipher;
  chancery_passphrase context = {passphrase, passphrase_count};
  if (PEM_get_EVP_CIPHER_INFO(header, &cipher) != 1) return -1;
  return PEM_do_header(&cipher, body, count, chancery_pass_callback, &context) == 1 ? 1 : 0;
}

/* Fatal means that the library, not its input, is at fault: out of memory, a missing provider, an internal error. */
static inline int chancery_error_is_fatal(unsigned long code) { return ERR_FATAL_ERROR(code) ? 1 : 0; }

/* Whether an algorithm is missing: never compiled in, or of the legacy provider, which is not loaded by default. */
static inline int chancery_error_is_unsupported(unsigned long code) {
  int reason = ERR_GET_REASON(code);
  if (reason == ERR_R_UNSUPPORTED) return 1;
  return ERR_GET_LIB(code) == ERR_LIB_EVP
         && (reason == EVP_R_UNKNOWN_PBE_ALGORITHM || reason == EVP_R_UNSUPPORTED_ALGORITHM
             || reason == EVP_R_UNSUPPORTED_CIPHER || reason == EVP_R_UNSUPPORTED_PRF
             || reason == EVP_R_UNSUPPORTED_KEY_DERIVATION_FUNCTION || reason == EVP_R_UNSUPPORTED_KEYLENGTH);
}

#endif
