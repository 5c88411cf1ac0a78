package login

import (
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base32"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"net/url"
	"strings"
	"time"

	"ticketgate/store"
)

// What every authenticator takes: SHA-1, 6 digits, 30 seconds (RFC 6238, 4).
const (
	totpStep   = 30
	totpDigits = 1_000_000
	totpBytes  = 20 // RFC 4226, 4: at least 128 bits, 160 are recommended
)

var base32NoPad = base32.StdEncoding.WithPadding(base32.NoPadding)

// NewTOTPSecret gives a fresh shared secret.
func NewTOTPSecret() []byte {
	secret := make([]byte, totpBytes)
	_, _ = rand.Read(secret) // never fails since Go 1.24
	return secret
}

// TOTPText writes a secret as people type it into an authenticator.
func TOTPText(secret []byte) string { return base32NoPad.EncodeToString(secret) }

// TOTPURL gives the otpauth: address that authenticators read as a QR code.
func TOTPURL(issuer, account string, secret []byte) string {
	label := url.PathEscape(strings.ReplaceAll(issuer, ":", " ")) + ":" + url.PathEscape(account)
	return "otpauth://totp/" + label + "?" + url.Values{"secret": {TOTPText(secret)}, "issuer": {issuer}}.Encode()
}

// totpCode gives the code of a time step (RFC 4226, 5.3).
func totpCode(secret []byte, step int64) string {
	mac := hmac.New(sha1.New, secret)
	mac.Write(binary.BigEndian.AppendUint64(nil, uint64(step)))
	sum := mac.Sum(nil)
	at := sum[len(sum)-1] & 15
	return fmt.Sprintf("%06d", binary.BigEndian.Uint32(sum[at:at+4])&0x7fffffff%totpDigits)
}

// MatchTOTP finds the time step that a code is of: the present one, or the one
// before or after it, for a clock that is off and a hand that is slow (RFC 6238,
// 5.2). The caller has to refuse a step that was used.
func MatchTOTP(secret []byte, code string, now time.Time) (step int64, ok bool) {
	code = strings.ReplaceAll(code, " ", "")
	present := now.Unix() / totpStep
	for at := present - 1; at <= present+1; at++ {
		if subtle.ConstantTimeCompare([]byte(totpCode(secret, at)), []byte(code)) == 1 {
			step, ok = at, true
		}
	}
	return step, ok
}

// recoveryCodes is how many an agent gets.
const recoveryCodes = 10

// NewRecoveryCodes gives codes of 80 random bits, each of which stands in for a
// TOTP code once.
func NewRecoveryCodes() []string {
	codes := make([]string, recoveryCodes)
	for i := range codes {
		var b [10]byte
		_, _ = rand.Read(b[:]) // never fails since Go 1.24
		text := strings.ToLower(base32NoPad.EncodeToString(b[:]))
		codes[i] = text[:4] + "-" + text[4:8] + "-" + text[8:12] + "-" + text[12:]
	}
	return codes
}

// RecoveryHash gives the hash under which a recovery code is kept, however it
// was typed.
func RecoveryHash(code string) string {
	sum := sha256.Sum256([]byte(strings.ToLower(strings.NewReplacer("-", "", " ", "").Replace(code))))
	return hex.EncodeToString(sum[:])
}

// totpPlace binds a sealed secret to its row.
func totpPlace(agentID string) string { return "totp|secret|" + agentID }

// SealTOTP encrypts an agent's secret for the store.
func SealTOTP(seal *store.Sealer, agentID string, secret []byte) []byte {
	return seal.Seal(totpPlace(agentID), secret)
}

// OpenTOTP decrypts what SealTOTP made.
func OpenTOTP(seal *store.Sealer, t store.TOTP) ([]byte, error) {
	return seal.Open(totpPlace(t.AgentID), t.Secret)
}

// ResealTOTP brings all secrets under the first of the master secrets.
func ResealTOTP(ctx context.Context, tx *store.Tx, seal *store.Sealer) error {
	all, err := tx.TOTPs(ctx)
	if err != nil {
		return err
	}
	for _, t := range all {
		if seal.Current(totpPlace(t.AgentID), t.Secret) {
			continue
		}
		plain, err := OpenTOTP(seal, t)
		if err != nil {
			return err
		}
		t.Secret = SealTOTP(seal, t.AgentID, plain)
		if err := tx.PutTOTP(ctx, t); err != nil {
			return err
		}
	}
	return nil
}
