package api_test

import (
	"strings"
	"testing"
	"time"
)

func TestSecondFactor(t *testing.T) {
	f := newFixture(t)
	b := f.logIn("standard")
	b.do("POST", "/me/totp/confirm", m{"totp": "000000"}).is(409)
	b.do("POST", "/me/totp", m{}).is(422).refuses("current")
	begun := b.do("POST", "/me/totp", m{"current": correct}).is(201)
	secret := begun.text("secret")
	if url := begun.text("url"); !strings.HasPrefix(url, "otpauth://totp/") || !strings.Contains(url, "secret="+secret) {
		t.Errorf("url %s", url)
	}
	f.tries("standard", correct).is(200) // not confirmed, not asked for
	b.do("POST", "/me/totp/confirm", m{"totp": f.typedCode(secret, 5)}).is(422).refuses("totp")
	codes := b.do("POST", "/me/totp/confirm", m{"totp": f.typedCode(secret, 0)}).is(200).json()["recovery_codes"].([]any)
	b.do("POST", "/me/totp", m{"current": correct}).is(409)

	with := func(totp string) reply {
		return f.do("nobody", "POST", "/login", m{"email": mailOf("standard"), "password": correct, "totp": totp})
	}
	if reason := with("").is(401).text("reason"); reason != "totp_required" {
		t.Errorf("reason %s", reason)
	}
	wrong := same(with("000000").is(401))
	if got := same(f.do("nobody", "POST", "/login", m{"email": mailOf("standard"), "password": "wrong horse", "totp": f.typedCode(secret, 1)})); got != wrong {
		t.Errorf("a wrong password with a right code: %s, want %s", got, wrong)
	}
	with(f.typedCode(secret, 0)).is(401) // it was used to confirm
	next := f.typedCode(secret, 1)
	with(next).is(200)
	with(next).is(401)
	f.advance(time.Minute)
	with(f.typedCode(secret, 0)).is(200)
	recovery := codes[0].(string)
	with(strings.ToUpper(recovery)).is(200)
	with(recovery).is(401)
	if left := b.do("GET", "/me/totp", nil).is(200).json()["recovery_codes_left"]; left != 9.0 {
		t.Errorf("%v codes are left", left)
	}
	f.advance(10 * time.Minute)

	f.do("nobody", "POST", "/login/link", m{"email": mailOf("standard")}).is(202)
	token := f.mailedToken("standard")
	f.byLink(token).is(401) // a link is one factor, and waits for the other
	f.do("nobody", "POST", "/login", m{"token": token, "totp": f.typedCode(secret, 0)}).is(200)

	b.do("POST", "/me/totp/remove", m{"current": "wrong horse"}).is(422).refuses("current")
	b.do("POST", "/me/totp/remove", m{"current": correct}).is(200)
	b.do("POST", "/me/totp/remove", m{"current": correct}).is(409)
	f.tries("standard", correct).is(200)
}

func TestAnAdminTakesALostFactorAway(t *testing.T) {
	f := newFixture(t)
	f.knows("standard")
	f.setTOTP("standard")
	f.tries("standard", correct).is(401)
	f.do("admin", "DELETE", "/agents/"+f.agents["standard"]+"/totp", nil).is(204)
	f.tries("standard", correct).is(200)
}
