"""What items are: their texts, pictures and sounds, decoded safely, and what encoders made of them."""
