"""Amazon Bedrock, by its REST: chats by Converse, customization jobs, deployments, and S3.

names      our ids of custom models, and the ARNs and addresses of theirs
access     an API key, or AWS credentials that sign every request
aws_rest   requests to one AWS service, and its errors in one form
convert    messages and datasets in Converse's words
chat       Converse
bucket     training files in S3
tuner      model-customization-jobs
host       custom model deployments, and provisioned throughput
models     which models the account may use, and until when
"""
