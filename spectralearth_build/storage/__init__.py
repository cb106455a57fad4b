"""Object stores: archives and datasets at s3://, gs:// and az:// URLs. Imported lazily, as obstore loads slowly."""
