package cost_test

import (
	"encoding/json"
	"fmt"
	"math"
	"math/big"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"roadbed.dev/roadbed/sidecar/internal/cost"
	"roadbed.dev/roadbed/sidecar/internal/provision"
)

// founding is the formula of the first offering, character for character.
const founding = `base = instance_class_cost
storage = storage_gb * 0.115
backup = storage_gb * backup_retention_days * 0.02
multi_az_multiplier = 2 if multi_az else 1
total = (base + storage + backup) * multi_az_multiplier
`

const prices = `
prices:
  db.t3.small: 30
  db.t3.medium: 60
  db.t3.large: 120
  db.r6g.xlarge: 250
`

func database(formula string) provision.Offering {
	return provision.Offering{
		ID: "postgres-database", Digest: "sha256:test",
		Parameters: []provision.Parameter{
			{Name: "environment", Type: "enum"},
			{Name: "instance_class", Type: "enum", Default: "db.t3.medium", Options: []provision.Option{
				{Value: "db.t3.small"}, {Value: "db.t3.medium"}, {Value: "db.t3.large"}, {Value: "db.r6g.xlarge"},
			}},
			{Name: "storage_gb", Type: "integer", Default: int64(100)},
			{Name: "backup_retention_days", Type: "integer", Default: int64(7)},
			{Name: "multi_az", Type: "boolean", Default: false},
			{Name: "custom", Type: "map"},
		},
		Cost: provision.CostEstimate{Formula: formula},
	}
}

func pricer(t testing.TB) *cost.Pricer {
	t.Helper()
	book, err := cost.ParseBook([]byte(prices))
	if err != nil {
		t.Fatal(err)
	}
	return cost.New(book)
}

// lines are cost items from label, mills, label, mills …
func lines(pairs ...any) []provision.CostItem {
	var items []provision.CostItem
	for i := 0; i < len(pairs); i += 2 {
		items = append(items, provision.CostItem{Name: pairs[i].(string), MonthlyCost: provision.Money(pairs[i+1].(int))})
	}
	return items
}

func TestTheFoundingFormulaIsPricedExactly(t *testing.T) {
	tests := map[string]struct {
		parameters provision.Parameters
		want       string
		items      []provision.CostItem
	}{
		"the defaults": {provision.Parameters{}, "85.50",
			lines("base", 60000, "storage", 11500, "backup", 14000)},
		"the defaults with multi-AZ": {provision.Parameters{"multi_az": true}, "171.00",
			lines("base", 60000, "storage", 11500, "backup", 14000, "multi-az", 85500)},
		"the least": {provision.Parameters{
			"instance_class": "db.t3.small", "storage_gb": int64(20), "backup_retention_days": int64(1),
		}, "32.70", lines("base", 30000, "storage", 2300, "backup", 400)},
		"the most": {provision.Parameters{
			"instance_class": "db.r6g.xlarge", "storage_gb": int64(1000), "backup_retention_days": int64(35), "multi_az": true,
		}, "2130.00", lines("base", 250000, "storage", 115000, "backup", 700000, "multi-az", 1065000)},
		"half a cent over a hundred dollars": {provision.Parameters{
			"instance_class": "db.t3.small", "storage_gb": json.Number("359"), "backup_retention_days": float64(4),
		}, "100.005", lines("base", 30000, "storage", 41285, "backup", 28720)},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			got, err := pricer(t).Price(database(founding), tt.parameters)
			if err != nil {
				t.Fatal(err)
			}
			if got.MonthlyCost.Decimal() != tt.want || got.AnnualCost != 12*got.MonthlyCost {
				t.Errorf("price = %s a month and %s a year, want %s a month", got.MonthlyCost.Decimal(), got.AnnualCost, tt.want)
			}
			if diff := cmp.Diff(tt.items, got.Items); diff != "" {
				t.Errorf("items differ (-want +got):\n%s", diff)
			}
			if !strings.HasPrefix(got.PricesDigest, "sha256:") {
				t.Errorf("prices digest = %q", got.PricesDigest)
			}
		})
	}
}

func TestAnyRequestCostsWhatFractionsSay(t *testing.T) {
	dollars := map[string]int64{"db.t3.small": 30, "db.t3.medium": 60, "db.t3.large": 120, "db.r6g.xlarge": 250}
	classes := []string{"db.t3.small", "db.t3.medium", "db.t3.large", "db.r6g.xlarge"}
	p, random := pricer(t), rand.New(rand.NewPCG(1, 2))
	for range 2000 {
		class, gb, days, az := classes[random.IntN(4)], 20+random.Int64N(981), 1+random.Int64N(35), random.IntN(2) == 1
		want := big.NewRat(dollars[class], 1)
		want.Add(want, new(big.Rat).Mul(big.NewRat(gb, 1), big.NewRat(115, 1000)))
		want.Add(want, new(big.Rat).Mul(big.NewRat(gb*days, 1), big.NewRat(2, 100)))
		if az {
			want.Add(want, want)
		}
		got, err := p.Price(database(founding), provision.Parameters{
			"instance_class": class, "storage_gb": gb, "backup_retention_days": days, "multi_az": az,
		})
		if err != nil {
			t.Fatal(err)
		}
		if big.NewRat(int64(got.MonthlyCost), 1000).Cmp(want) != 0 {
			t.Fatalf("%s, %d GB, %d days, multi-AZ %t = %s, want %s", class, gb, days, az, got.MonthlyCost.Decimal(), want.FloatString(4))
		}
		sum := provision.Money(0)
		for _, item := range got.Items {
			sum += item.MonthlyCost
		}
		if sum != got.MonthlyCost {
			t.Fatalf("items of %v sum to %s, total is %s", got.Items, sum, got.MonthlyCost)
		}
	}
}

func TestArithmeticIsExactAndRoundsUpAtTheEnd(t *testing.T) {
	tests := map[string]struct{ formula, want string }{
		"literals are as written":              {"total = 0.1 + 0.2", "0.30"},
		"a third three times is one":           {"total = 1/3 + 1/3 + 1/3", "1.00"},
		"a fraction of a mill goes up":         {"total = 100 + 0.0004", "100.001"},
		"a whole mill stays":                   {"total = 100.001", "100.001"},
		"a division rounds nothing before end": {"x = 10 / 4\ntotal = x * 4", "10.00"},
		"whole division rounds down":           {"total = 7 // 2 + 7 % 2", "4.00"},
		"up to the next hundred":               {"total = ceil(storage_gb / 30) * 1.5", "6.00"},
		"if with a reassignment":               {"total = 5\nif not multi_az:\n    total += 2.5", "7.50"},
		"for over a range":                     {"total = 0\nfor i in range(1, 4):\n    total += i", "6.00"},
		"a table by option":                    {"total = {'db.t3.medium': 7, 'x': 1}[instance_class]", "7.00"},
		"comparison of numbers of any kind":    {"total = 1 if storage_gb == 100.0 and storage_gb < 100.5 else 2", "1.00"},
		"the rest of the functions":            {"total = max(1, 2) + min(3, 4) + abs(-1) + floor(1.9) + round(2.5)", "10.00"},
		"a text in a list":                     {"total = 1 if instance_class in ['db.t3.medium'] else 2", "1.00"},
		"zero is a price":                      {"total = 0", "0.00"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			got, err := pricer(t).Price(database(tt.formula), nil)
			if err != nil {
				t.Fatal(err)
			}
			if got.MonthlyCost.Decimal() != tt.want {
				t.Errorf("%s = %s, want %s", tt.formula, got.MonthlyCost.Decimal(), tt.want)
			}
		})
	}
}

func TestItemsAlwaysSumToTheTotal(t *testing.T) {
	o := database("a = 1/3\nb = 1/3\nc = 1/3\ntotal = a + b + c")
	o.Cost.Items = map[string]string{"first": "a", "second": "b", "third": "c"}
	got, err := pricer(t).Price(o, nil)
	if err != nil {
		t.Fatal(err)
	}
	want := lines("first", 334, "second", 333, "third", 333)
	if diff := cmp.Diff(want, got.Items); diff != "" {
		t.Errorf("items differ (-want +got):\n%s", diff)
	}

	o = database("a = 10\nb = storage_gb\ntotal = a + b")
	o.Cost.Items = map[string]string{"only": "a"}
	if _, err = pricer(t).Price(o, nil); err == nil || !strings.Contains(err.Error(), "differ from its total by 100.000 dollars") {
		t.Errorf("items that leave out a part: err = %v", err)
	}

	got, err = pricer(t).Price(database("a = 10\ntotal = a * 2 + 1"), nil)
	if err != nil || !cmp.Equal(got.Items, lines("total", 21000)) {
		t.Errorf("a total that cannot be split = %v, %v; want one item", got.Items, err)
	}
}

func TestWhatCannotBePricedIsRefused(t *testing.T) {
	tests := map[string]struct {
		formula    string
		parameters provision.Parameters
		want       string // part of the message
	}{
		"a class without a price":          {founding, provision.Parameters{"instance_class": "db.r6g.2xlarge"}, `instance_class "db.r6g.2xlarge" has no price`},
		"not a number":                     {founding, provision.Parameters{"storage_gb": math.NaN()}, "storage_gb is NaN"},
		"infinitely much":                  {founding, provision.Parameters{"storage_gb": math.Inf(1)}, "storage_gb is +Inf"},
		"a text for a number":              {founding, provision.Parameters{"storage_gb": "100"}, "storage_gb is 100; the price needs a number"},
		"a text for a boolean":             {founding, provision.Parameters{"multi_az": "false"}, "multi_az is false; the price needs true or false"},
		"a negative total":                 {"total = 0 - storage_gb", nil, "negative"},
		"an absurd total":                  {"total = 1000000000.001", nil, "a billion"},
		"no value and no default":          {"total = environment_cost", nil, "environment, which is not set"},
		"a division by zero":               {"total = 1 / (storage_gb - 100)", nil, "line 1: the formula divides by zero"},
		"a remainder by zero":              {"total = 1 % 0", nil, "divides by zero"},
		"a loop without end":               {"total = 0\nfor i in range(9000):\n    for j in range(9000):\n        total += 1", nil, "does not come to an end"},
		"a range without end":              {"total = 0\nfor i in range(1000000000000):\n    total += 1", nil, "does not come to an end"},
		"while":                            {"while True:\n    pass", nil, "nothing else"},
		"squaring for ever":                {"x = 9\nfor i in range(100):\n    x = x * x\ntotal = x", nil, "too large"},
		"doubling a text":                  {"x = 'a' + 'a'\ntotal = 1", nil, "not a number"},
		"repeating a list":                 {"x = [1] * 9\ntotal = 1", nil, "not a number"},
		"formatting":                       {"x = '%s' % 1\ntotal = 1", nil, "not a number"},
		"adding a boolean":                 {"total = multi_az + 1", nil, "not a number"},
		"adding to a boolean":              {"total = 1 + multi_az", nil, "unknown binary op"},
		"load":                             {"load('x', 'y')\ntotal = 1", nil, "nothing else"},
		"print":                            {"total = print(1)", nil, "print cannot be called here"},
		"printing alone":                   {"print('x')\ntotal = 1", nil, "nothing else"},
		"a function":                       {"def f():\n    return f()\ntotal = 1", nil, "nothing else"},
		"a lambda":                         {"total = (lambda: 1)()", nil, "line 1"},
		"a method":                         {"total = 'a'.join(['b'])", nil, "by name only"},
		"a comprehension":                  {"total = [x for x in [1]]", nil, "nothing else"},
		"an unknown name":                  {"total = base", nil, "undefined: base"},
		"a map parameter":                  {"total = custom", nil, "undefined: custom"},
		"setting a parameter":              {"storage_gb = 1\ntotal = 1", nil, "storage_gb is given"},
		"no total":                         {"cost = 1", nil, "never sets total"},
		"a total only sometimes":           {"if multi_az:\n    total = 1", nil, "without a number"},
		"a total that is a text":           {"total = 'a'", nil, "without a number"},
		"no formula":                       {" ", nil, "no formula"},
		"a syntax error":                   {"total = ", nil, "cannot be read"},
		"a literal that is short and huge": {"total = 1e300 * 1e300 * 1e300 * 1e300", nil, "too large"},
		"shifting":                         {"total = 1 << 100", nil, "not for numbers"},
		"shifting in place":                {"total = 1\ntotal <<= 100", nil, "not for numbers"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			got, err := pricer(t).Price(database(tt.formula), tt.parameters)
			if err == nil {
				t.Fatalf("price = %s, want an error", got.MonthlyCost)
			}
			if provision.KindOf(err) != provision.Invalid || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("err = %q (%s), want Invalid with %q", err, provision.KindOf(err), tt.want)
			}
		})
	}
}

func TestAnOptionsOwnPriceComesBeforeTheBooks(t *testing.T) {
	o, own := database("total = instance_class_cost"), provision.Money(12345)
	o.Parameters[1].Options[1].MonthlyCost = &own
	got, err := pricer(t).Price(o, nil)
	if err != nil || got.MonthlyCost != own {
		t.Errorf("price = %s, %v; want %s", got.MonthlyCost, err, own)
	}
}

func TestReadsAreWhatDecidesThePrice(t *testing.T) {
	got, err := pricer(t).Reads(database(founding))
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"instance_class", "storage_gb", "backup_retention_days", "multi_az"}, got); diff != "" {
		t.Errorf("reads differ (-want +got):\n%s", diff)
	}
}

func TestAPriceBookIsReadExactlyAndItsFaultsAreNamed(t *testing.T) {
	book, err := cost.ParseBook([]byte("currency: USD\nprices: {a: 0.115, b: 1}\n"))
	if err != nil {
		t.Fatal(err)
	}
	if price, ok := book.Price("a"); !ok || price != 115 {
		t.Errorf("a = %d, %t; want 115 mills", price, ok)
	}
	for text, want := range map[string]string{
		"prices: {a: -1}":     "negative",
		"prices: {a: .nan}":   "not an amount",
		"prices: {a: lots}":   "not an amount",
		"prices: {a: 0.0001}": "more than three decimals",
		"prices: [":           "cannot be read",
	} {
		if _, err := cost.ParseBook([]byte(text)); provision.KindOf(err) != provision.Invalid || !strings.Contains(fmt.Sprint(err), want) {
			t.Errorf("ParseBook(%q) = %v, want Invalid with %q", text, err, want)
		}
	}
}

// FuzzBook reads any text as a price book: each price that it has is one that
// money can be counted in.
func FuzzBook(f *testing.F) {
	f.Add([]byte(prices))
	f.Add([]byte("prices: {a: 1e3, b: -0, c: .inf, d: 0x10, e: ~, f: [1], g: &x {h: *x}}\n"))
	f.Add([]byte("prices:\n  a: 99999999999999999999999999999999\n  a: 1\n"))
	f.Add([]byte("a: &a [x, x]\nb: &b [*a, *a]\nprices: *b\n"))
	f.Fuzz(func(t *testing.T, text []byte) {
		book, err := cost.ParseBook(text)
		if err != nil {
			if provision.KindOf(err) != provision.Invalid {
				t.Errorf("%q: %v, want Invalid", text, err)
			}
			return
		}
		for _, option := range strings.FieldsFunc(string(text), func(r rune) bool { return strings.ContainsRune(" :,{}\n", r) }) {
			if price, known := book.Price(option); known && (price < 0 || price.String() == "") {
				t.Errorf("%q prices %s at %s", text, option, price)
			}
		}
	})
}

func FuzzNoFormulaPanics(f *testing.F) {
	f.Add(founding)
	f.Add("total = 1e9 // 0.3 % 2")
	f.Add("for i in range(3):\n  total = {1: 2}[i]")
	book, err := cost.ParseBook([]byte(prices))
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, formula string) {
		got, err := cost.New(book).Price(database(formula), nil)
		if err == nil && got.MonthlyCost < 0 {
			t.Errorf("%q costs %s", formula, got.MonthlyCost)
		}
		if err != nil && provision.KindOf(err) != provision.Invalid {
			t.Errorf("%q: err = %v is not Invalid", formula, err)
		}
	})
}

func BenchmarkPrice(b *testing.B) {
	p, o := pricer(b), database(founding)
	parameters := provision.Parameters{"instance_class": "db.t3.large", "storage_gb": int64(359), "multi_az": true}
	for b.Loop() {
		if _, err := p.Price(o, parameters); err != nil {
			b.Fatal(err)
		}
	}
}
