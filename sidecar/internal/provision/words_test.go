package provision

import "testing"

func TestInWords(t *testing.T) {
	size := Parameter{Name: "instance_class", Title: "Instance size", Type: "enum", Options: []Option{
		{Value: "db.s", Label: "Small (2 vCPU, 2GB RAM) - $30/month"}, {Value: "db.l", Label: "Large (2 vCPU, 8GB RAM) - $120/month"},
		{Value: "db.x", Label: "Huge (Intel)"}, {Value: "db.y", Label: "Huge (ARM)"}, {Value: "db.z"},
	}}
	offering := Offering{Parameters: []Parameter{
		size,
		{Name: "storage_gb", Title: "Storage (GB)", Type: "integer"},
		{Name: "backup_retention_days", Title: "Backup retention (days)", Type: "integer"},
		{Name: "multi_az", Title: "Multi-AZ", Type: "boolean"},
		{Name: "iops", Title: "IOPS", Type: "integer"},
		{Name: "postgres", Title: "PostgreSQL cache (MB)", Type: "integer"},
		{Name: "max_connections", Type: "integer"},
	}}
	before := Parameters{
		"instance_class": "db.l", "storage_gb": int64(300), "backup_retention_days": int64(30), "multi_az": true,
		"iops": int64(3000), "postgres": int64(2), "max_connections": int64(100),
	}
	tests := map[string]struct {
		changes Parameters
		want    string
	}{
		"a switch is turned off":                    {Parameters{"multi_az": false}, "turn off multi-AZ"},
		"a switch is turned on":                     {Parameters{"multi_az": true}, "turn on multi-AZ"},
		"a number has the unit of its title":        {Parameters{"storage_gb": int64(156)}, "storage 300 → 156 GB"},
		"one of a unit is not many":                 {Parameters{"backup_retention_days": int64(1)}, "backup retention 30 → 1 day"},
		"a choice has the beginning of its label":   {Parameters{"instance_class": "db.s"}, "instance size Large → Small"},
		"labels that begin alike are told by value": {Parameters{"instance_class": "db.y"}, "instance size Large → db.y"},
		"an option without a label has its value":   {Parameters{"instance_class": "db.z"}, "instance size Large → db.z"},
		"an abbreviation keeps its capitals":        {Parameters{"iops": int64(100)}, "IOPS 3000 → 100"},
		"a name keeps its capitals":                 {Parameters{"postgres": int64(1)}, "PostgreSQL cache 2 → 1 MB"},
		"a parameter without a title has its name":  {Parameters{"max_connections": int64(50)}, "max connections 100 → 50"},
		"two changes are in the offering's order": {
			Parameters{"multi_az": false, "storage_gb": int64(20)}, "storage 300 → 20 GB and turn off multi-AZ",
		},
		"nothing changed says nothing": {Parameters{}, ""},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			if got := inWords(offering, before, tt.changes); got != tt.want {
				t.Errorf("inWords = %q, want %q", got, tt.want)
			}
		})
	}
	if got := inWords(offering, Parameters{}, Parameters{"storage_gb": int64(20), "multi_az": false}); got != "storage 20 GB and turn off multi-AZ" {
		t.Errorf("what had no value before reads %q", got)
	}
}

func TestSmallestChanges(t *testing.T) {
	tests := map[string]struct {
		alternatives []Alternative
		want         string
	}{
		"none says nothing": {nil, ""},
		"one has its price": {[]Alternative{{Text: "turn off multi-AZ", MonthlyCost: 85_500}}, "Smallest changes that fit: turn off multi-AZ ($85.50)"},
		"several are apart": {
			[]Alternative{{Text: "turn off multi-AZ", MonthlyCost: 85_500}, {Text: "storage 300 → 156 GB", MonthlyCost: 1_099_980}},
			"Smallest changes that fit: turn off multi-AZ ($85.50); storage 300 → 156 GB ($1,099.98)",
		},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			if got := SmallestChanges(tt.alternatives); got != tt.want {
				t.Errorf("SmallestChanges = %q, want %q", got, tt.want)
			}
		})
	}
}
