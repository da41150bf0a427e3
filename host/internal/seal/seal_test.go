package seal_test

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os/exec"
	"strings"
	"testing"

	"github.com/google/uuid"
	"pgregory.net/rapid"

	"github.com/orderport/orderport/host/internal/domain"
	"github.com/orderport/orderport/host/internal/fault"
	"github.com/orderport/orderport/host/internal/seal"
)

// countingKey is the bytes 0 to 31.
const countingKey = "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f"

func mustKey(tb testing.TB, text string) seal.Key {
	tb.Helper()
	k, err := seal.ParseKey(text)
	if err != nil {
		tb.Fatal(err)
	}
	return k
}

func mustHex(tb testing.TB, text string) []byte {
	tb.Helper()
	b, err := hex.DecodeString(text)
	if err != nil {
		tb.Fatal(err)
	}
	return b
}

var row = seal.Binding{
	OrgID:         uuid.MustParse("11111111-2222-4333-8444-555555555555"),
	ConnectionID:  uuid.MustParse("66666666-7777-4888-9999-aaaaaaaaaaaa"),
	ConnectorType: "DROPZONE_JSON_V1",
}

const plainConfig = `{"mode":"sftp","password":"s3cret"}`

// The vectors were made with Python's cryptography (AESGCM): the counting key,
// the IV 64 65 … 6f, plainConfig, and no additional data or, for version 1,
// the lines that the package's documentation gives for row. They fix the
// format: a change that breaks them makes stored configs unreadable.
const (
	vectorVersion0 = "6465666768696a6b6c6d6e6f3339b3091d8c74a41c11399caa4746df32a37579fc03811685eb8e3bc8c0d72de0cb3d" +
		"66f835feca2c044f634e9c1e92cb0c16"
	vectorVersion1 = "6465666768696a6b6c6d6e6f3339b3091d8c74a41c11399caa4746df32a37579fc03811685eb8e3bc8c0d72de0cb3d" +
		"586b3955060b68260c04ddd68664f63d"
	// The first 16 digits of SHA-256("orderport/key-id/v1\n" and the key).
	vectorKeyID = "5b5d4a91ff17fa59"
)

func TestBlobsMadeByAnotherProgramOpen(t *testing.T) {
	t.Parallel()
	ring := seal.NewKeyring(mustKey(t, countingKey))
	for name, sealed := range map[string]domain.SealedConfig{
		"version 0 without a key id": {Blob: mustHex(t, vectorVersion0)},
		"version 0 with a key id":    {Blob: mustHex(t, vectorVersion0), KeyID: vectorKeyID},
		"version 1":                  {Blob: mustHex(t, vectorVersion1), Version: 1, KeyID: vectorKeyID},
		"version 1 without a key id": {Blob: mustHex(t, vectorVersion1), Version: 1},
	} {
		plain, err := ring.Open(sealed, row)
		if err != nil || string(plain) != plainConfig {
			t.Errorf("%s: %q, %v", name, plain, err)
		}
	}
}

func TestNodeAndTheHostReadEachOthersBlobs(t *testing.T) {
	t.Parallel()
	node, err := exec.LookPath("node")
	if err != nil {
		t.Skip("node is not installed; the fixed vectors are checked all the same")
	}
	key := seal.GenerateKey()
	made := nodeScript(t, node, `
		const c = require('crypto'), iv = c.randomBytes(12);
		const e = c.createCipheriv('aes-256-gcm', Buffer.from(process.argv[1], 'hex'), iv);
		const body = Buffer.concat([e.update(process.argv[2], 'utf8'), e.final()]);
		console.log(Buffer.concat([iv, body, e.getAuthTag()]).toString('hex'));`, key.Reveal(), plainConfig)
	ring := seal.NewKeyring(key)
	if plain, err := ring.Open(domain.SealedConfig{Blob: mustHex(t, made)}, row); err != nil || string(plain) != plainConfig {
		t.Errorf("%q, %v", plain, err)
	}
	sealed := mustSeal(t, ring, plainConfig, row)
	aad := strings.Join([]string{"orderport/erp_connection/v1", row.OrgID.String(), row.ConnectionID.String(), row.ConnectorType}, "\n")
	opened := nodeScript(t, node, `
		const c = require('crypto'), b = Buffer.from(process.argv[2], 'hex');
		const d = c.createDecipheriv('aes-256-gcm', Buffer.from(process.argv[1], 'hex'), b.subarray(0, 12));
		d.setAAD(Buffer.from(process.argv[3])); d.setAuthTag(b.subarray(b.length - 16));
		console.log(d.update(b.subarray(12, b.length - 16), null, 'utf8') + d.final('utf8'));`,
		key.Reveal(), hex.EncodeToString(sealed.Blob), aad)
	if opened != plainConfig {
		t.Errorf("node opened %q", opened)
	}
}

func nodeScript(t *testing.T, node, script string, args ...string) string {
	t.Helper()
	out, err := exec.Command(node, append([]string{"-e", script, "--"}, args...)...).CombinedOutput()
	if err != nil {
		t.Fatalf("node: %v: %s", err, out)
	}
	return strings.TrimSpace(string(out))
}

func mustSeal(tb testing.TB, ring *seal.Keyring, plain string, b seal.Binding) domain.SealedConfig {
	tb.Helper()
	s, err := ring.Seal([]byte(plain), b)
	if err != nil {
		tb.Fatal(err)
	}
	return s
}

func TestASealedConfigHasTheDocumentedForm(t *testing.T) {
	t.Parallel()
	key := mustKey(t, countingKey)
	ring := seal.NewKeyring(key)
	one, two := mustSeal(t, ring, plainConfig, row), mustSeal(t, ring, plainConfig, row)
	if len(one.Blob) != 12+len(plainConfig)+16 || one.Version != 1 || one.KeyID != vectorKeyID || key.ID() != vectorKeyID {
		t.Errorf("%d bytes, version %d, key %s", len(one.Blob), one.Version, one.KeyID)
	}
	if bytes.Equal(one.Blob, two.Blob) || bytes.Equal(one.Blob[:12], two.Blob[:12]) {
		t.Error("an IV was used twice")
	}
}

func TestAChangedOrMovedBlobDoesNotOpen(t *testing.T) {
	t.Parallel()
	ring := seal.NewKeyring(mustKey(t, countingKey))
	good := mustSeal(t, ring, plainConfig, row)
	notOpenable := func(name string, s domain.SealedConfig, b seal.Binding) {
		t.Helper()
		if plain, err := ring.Open(s, b); !errors.Is(err, seal.ErrNotOpenable) || errors.Is(err, seal.ErrUnknownKey) || plain != nil {
			t.Errorf("%s: %q, %v", name, plain, err)
		}
	}
	for i := range good.Blob {
		changed := good
		changed.Blob = bytes.Clone(good.Blob)
		changed.Blob[i] ^= 1
		notOpenable(fmt.Sprint("byte ", i, " changed"), changed, row)
		cut := good
		cut.Blob = good.Blob[:i]
		notOpenable(fmt.Sprint("cut to ", i, " bytes"), cut, row)
	}
	longer := good
	longer.Blob = append(bytes.Clone(good.Blob), 0)
	notOpenable("one byte more", longer, row)

	for name, move := range map[string]func(*seal.Binding){
		"another organization": func(b *seal.Binding) { b.OrgID[0]++ },
		"another connection":   func(b *seal.Binding) { b.ConnectionID[15]++ },
		"another type":         func(b *seal.Binding) { b.ConnectorType = "SAP_RFC" },
		"ids exchanged":        func(b *seal.Binding) { b.OrgID, b.ConnectionID = b.ConnectionID, b.OrgID },
	} {
		elsewhere := row
		move(&elsewhere)
		notOpenable(name, good, elsewhere)
	}
	for _, version := range []int{0, 2, -1} {
		other := good
		other.Version = version
		notOpenable(fmt.Sprint("version ", version), other, row)
	}
	notOpenable("version 0 said to be bound", domain.SealedConfig{Blob: mustHex(t, vectorVersion0), Version: 1}, row)
	notOpenable("no blob", domain.SealedConfig{}, row)
}

func TestAKeyThatIsNotKnownIsToldFromDamage(t *testing.T) {
	t.Parallel()
	theirs, ours := seal.NewKeyring(seal.GenerateKey()), seal.NewKeyring(seal.GenerateKey())
	s := mustSeal(t, theirs, plainConfig, row)
	if _, err := ours.Open(s, row); !errors.Is(err, seal.ErrUnknownKey) || !strings.Contains(err.Error(), s.KeyID) {
		t.Errorf("with a key id: %v", err)
	}
	s.KeyID = ""
	if _, err := ours.Open(s, row); !errors.Is(err, seal.ErrNotOpenable) {
		t.Errorf("without a key id: %v", err)
	}
}

func TestPreviousKeysOpenAndTheCurrentOneSeals(t *testing.T) {
	t.Parallel()
	older, old, current := seal.GenerateKey(), seal.GenerateKey(), seal.GenerateKey()
	ring := seal.NewKeyring(current, old, older, old)
	for _, key := range []seal.Key{older, old, current} {
		s := mustSeal(t, seal.NewKeyring(key), plainConfig, row)
		for _, id := range []string{s.KeyID, ""} {
			s.KeyID = id
			if plain, err := ring.Open(s, row); err != nil || string(plain) != plainConfig {
				t.Errorf("key %s, named %q: %v", key.ID(), id, err)
			}
		}
	}
	if s := mustSeal(t, ring, plainConfig, row); s.KeyID != current.ID() || ring.CurrentID() != current.ID() {
		t.Errorf("sealed with %s", s.KeyID)
	}
}

func TestWhatIsSealedOpensAndOnlyThere(t *testing.T) {
	t.Parallel()
	ids := rapid.Custom(func(t *rapid.T) uuid.UUID {
		return uuid.UUID(rapid.SliceOfN(rapid.Byte(), 16, 16).Draw(t, "id"))
	})
	bindings := rapid.Custom(func(t *rapid.T) seal.Binding {
		return seal.Binding{OrgID: ids.Draw(t, "org"), ConnectionID: ids.Draw(t, "connection"), ConnectorType: rapid.StringMatching(`[A-Z_]{1,20}`).Draw(t, "type")}
	})
	rapid.Check(t, func(t *rapid.T) {
		ring := seal.NewKeyring(seal.GenerateKey())
		plain := rapid.SliceOf(rapid.Byte()).Draw(t, "plain")
		here, there := bindings.Draw(t, "here"), bindings.Draw(t, "there")
		s, err := ring.Seal(plain, here)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := ring.Open(s, here); err != nil || !bytes.Equal(got, plain) {
			t.Fatalf("%q, %v", got, err)
		}
		if _, err := ring.Open(s, there); here != there && err == nil {
			t.Fatal("opened elsewhere")
		}
	})
}

func TestAKeyThatIsNoKeySaysHowToMakeOne(t *testing.T) {
	t.Parallel()
	tests := map[string]struct{ text, says string }{
		"missing":       {"", "no master key is set"},
		"white space":   {" \n", "no master key is set"},
		"short":         {"abcdef0123", "10 characters instead of 64"},
		"long":          {countingKey + "20", "66 characters instead of 64"},
		"not hex":       {"xyz" + countingKey[3:], "not hexadecimal"},
		"not even text": {strings.Repeat("ä", 32), "not hexadecimal"},
		"zeros":         {strings.Repeat("0", 64), "all zeros"},
	}
	for name, tt := range tests {
		_, err := seal.ParseKey(tt.text)
		var e *fault.Error
		if !errors.As(err, &e) || e.Code != "invalid_master_key" || !strings.Contains(e.Message, tt.says) {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if !strings.Contains(e.Hint, "orderport key generate") {
			t.Errorf("%s: hint %q", name, e.Hint)
		}
		shown := fmt.Sprintf("%v %+v", err, *e)
		if len(tt.text) > 8 && strings.Contains(shown, tt.text[:8]) || strings.Contains(shown, "xyz") {
			t.Errorf("%s: the error shows the key: %s", name, shown)
		}
	}
}

func TestAGeneratedKeyParses(t *testing.T) {
	t.Parallel()
	one, two := seal.GenerateKey(), seal.GenerateKey()
	for _, text := range []string{one.Reveal(), strings.ToUpper(one.Reveal()), " " + one.Reveal() + "\n"} {
		if got := mustKey(t, text); got.ID() != one.ID() {
			t.Errorf("key %s is not %s", got.ID(), one.ID())
		}
	}
	if one.ID() == two.ID() || len(one.ID()) != 16 {
		t.Errorf("ids %s and %s", one.ID(), two.ID())
	}
}

func TestAKeyIsNeverPrinted(t *testing.T) {
	t.Parallel()
	key := mustKey(t, countingKey)
	ring := seal.NewKeyring(key)
	hidden := struct {
		key  seal.Key
		ptr  *seal.Key
		keys []seal.Key
		ring *seal.Keyring
		deep seal.Keyring
	}{key, &key, []seal.Key{key}, ring, *ring}
	var printed strings.Builder
	for _, v := range []any{key, &key, ring, *ring, hidden, &hidden, []any{key, ring}, map[string]seal.Key{"k": key}} {
		for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "%d", "%o", "%c", "%U"} {
			fmt.Fprintf(&printed, verb+"\n", v)
		}
		slog.New(slog.NewTextHandler(&printed, nil)).Info("m", "v", v)
		slog.New(slog.NewJSONHandler(&printed, nil)).Info("m", "v", v)
	}
	data, err := json.Marshal(map[string]any{"k": key, "r": ring})
	if err != nil {
		t.Fatal(err)
	}
	printed.Write(data)
	for _, form := range []string{
		countingKey[:16], strings.ToUpper(countingKey[16:32]), "0 1 2 3", "10 11 12", "0xa, 0xb", "\\x0a\\x0b", "\x0a\x0b\x0c", "U+000A U+000B", "0xa 0xb", "AAECAwQF",
	} {
		if strings.Contains(printed.String(), form) {
			t.Errorf("the key shows as %q", form)
		}
	}
	if !strings.Contains(printed.String(), "key:"+vectorKeyID) {
		t.Error("the fingerprint does not show, so this shows nothing")
	}
}
