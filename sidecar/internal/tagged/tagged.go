package tagged

import (
	"context"
	"errors"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/service/resourcegroupstaggingapi"
	"github.com/aws/aws-sdk-go-v2/service/resourcegroupstaggingapi/types"
	"github.com/aws/aws-sdk-go-v2/service/sts"
	"github.com/aws/smithy-go"

	"roadbed.dev/roadbed/sidecar/internal/provision"
)

// patience is how long a search may take, its repeats included.
const patience = 2 * time.Minute

// Resource is one thing at AWS.
type Resource struct {
	ARN  string            `json:"arn"`
	Tags map[string]string `json:"tags"`
}

// Find answers all that carries every one of the tags in the environment's
// region, in AWS's order; it changes nothing. The identity is found as every AWS
// client finds it. Invalid: it is of another account than the environment's.
// Unavailable: AWS did not answer, or it may not tag:GetResources.
func Find(ctx context.Context, environment provision.Environment, tags map[string]string) ([]Resource, error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	settings, err := config.LoadDefaultConfig(ctx, config.WithRegion(environment.Region))
	if err != nil {
		return nil, provision.Errorf(provision.Invalid, "no identity at AWS can be made of the environment: %w", err)
	}
	if environment.Account != "" {
		who, err := sts.NewFromConfig(settings).GetCallerIdentity(ctx, &sts.GetCallerIdentityInput{})
		if err != nil {
			return nil, away(err)
		}
		if account := aws.ToString(who.Account); account != environment.Account {
			return nil, provision.Errorf(provision.Invalid, "you are known to AWS in account %s, and %s is in account %s: take on a role there", account, environment.Name, environment.Account)
		}
	}
	var filters []types.TagFilter
	for key, value := range tags {
		filters = append(filters, types.TagFilter{Key: aws.String(key), Values: []string{value}})
	}
	var all []Resource
	pages := resourcegroupstaggingapi.NewGetResourcesPaginator(resourcegroupstaggingapi.NewFromConfig(settings), &resourcegroupstaggingapi.GetResourcesInput{TagFilters: filters})
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return nil, away(err)
		}
		for _, found := range page.ResourceTagMappingList {
			r := Resource{ARN: aws.ToString(found.ResourceARN), Tags: map[string]string{}}
			for _, tag := range found.Tags {
				r.Tags[aws.ToString(tag.Key)] = aws.ToString(tag.Value)
			}
			all = append(all, r)
		}
	}
	return all, nil
}

// away is Unavailable, with the word of AWS where it has said one.
func away(cause error) error {
	var said smithy.APIError
	if errors.As(cause, &said) {
		return provision.Errorf(provision.Unavailable, "AWS refuses to say what there is: %s: %s", said.ErrorCode(), said.ErrorMessage())
	}
	return provision.Unreachable("AWS", cause)
}
