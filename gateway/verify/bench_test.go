package verify

import (
	"bytes"
	"crypto"
	"strings"
	"testing"
	"time"

	"github.com/emersion/go-msgauth/dkim"

	"ticketgate/threading/message"
)

// BenchmarkVerify measures a 5 kB mail beside bare go-msgauth.
func BenchmarkVerify(b *testing.B) {
	z := usualZone()
	mail := strings.SplitAfter(plainMail, "\r\n\r\n")[0] + strings.Repeat("It burns, and it does so every day of the week.\r\n", 100)
	for _, key := range []struct {
		name, selector string
		signer         crypto.Signer
	}{{"RSA", "sel", rsaKey()}, {"Ed25519", "ed", ed25519Key()}} {
		raw := []byte(msgauthSigned(b, mail, dkim.SignOptions{
			Selector: key.selector, Signer: key.signer,
			HeaderCanonicalization: "relaxed", BodyCanonicalization: "relaxed",
		}))
		b.Run(key.name+"/ours", func(b *testing.B) {
			v := New(Options{Resolver: quiet{z}, Now: func() time.Time { return noon }})
			m := message.Parse(raw)
			b.SetBytes(int64(len(raw)))
			b.ReportAllocs()
			for b.Loop() {
				if a := v.Verify(b.Context(), Request{Raw: raw, Message: m}); a.Verdict != "verified" {
					b.Fatal(a)
				}
			}
		})
		b.Run(key.name+"/go-msgauth", func(b *testing.B) {
			opt := &dkim.VerifyOptions{LookupTXT: func(name string) ([]string, error) { return z.txt[name], nil }}
			b.SetBytes(int64(len(raw)))
			b.ReportAllocs()
			for b.Loop() {
				if v, err := dkim.VerifyWithOptions(bytes.NewReader(raw), opt); err != nil || v[0].Err != nil {
					b.Fatal(err, v[0].Err)
				}
			}
		})
	}
}

// BenchmarkLargestKey is the costliest key that is still used (K04).
func BenchmarkLargestKey(b *testing.B) {
	key, refused := readKey(oddKey(maxRSABits, maxExponent))
	if refused.result != "" {
		b.Fatal(refused)
	}
	value := bytes.Repeat([]byte{1}, maxRSABits/8)
	for b.Loop() {
		key.verifies(make([]byte, 32), value)
	}
}
